"""Names of counters and pools that no living process uses are given back: see `test_names_given_back`."""

from typing import Any

import pytest

from resilience.primitives import HostStore
from resilience.primitives.store import Gauge
from resilience.primitives.store.names import Names
from tests.primitives.conftest import SMALL

from .conftest import Another, said


class TestCounters:
    def test_of_settings_that_came_and_went_make_room(self, another: Another) -> None:
        for number in range(3 * SMALL.counters):
            process = another()
            assert process.counters.add("responses", str(number)), number
            process.close()

    def test_of_the_living_go_on_and_of_the_others_the_least_goes(self, another: Another) -> None:
        living, process = another(), another()
        assert living.counters.add("responses", "live")
        assert process.counters.add("transitions", "many", amount=1000)
        for number in range(SMALL.counters - 2):
            assert process.counters.add("responses", str(number), amount=10)
        process.close()
        late = another()
        assert late.counters.add("responses", "new", amount=7)
        totals = late.counters.totals()
        assert totals["responses", "live"] == 1
        assert totals["transitions", "many"] == 1000
        assert totals["responses", "new"] == 7
        assert ("responses", "0") not in totals
        assert living.counters.add("responses", "live")
        assert late.counters.totals()["responses", "live"] == 2

    def test_that_lost_their_name_on_the_way_are_not_counted(
        self, another: Another, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = another()
        monkeypatch.setattr(Names, "holds", lambda *_, **__: False)
        assert not store.counters.add("responses", "live")
        assert "responses are not all counted" in "".join(said(caplog))
        # The place is for another name now, and may be given back when that one is not used any more.
        assert not store.counters._users.any(0)

    def test_that_are_used_are_counted_while_somebody_looks_whether_they_are(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = another()
        assert store.counters.add("responses", "live")
        usual = Names.index

        def marked(self: Names, name: str) -> int | None:
            found = usual(self, name)
            self._store.words[self._region.of(1)] |= 1 << 62
            return found

        monkeypatch.setattr(Names, "index", marked)
        assert store.counters.add("responses", "live")
        assert store.counters._users.any(0)


class TestPools:
    def put(self, store: HostStore, name: str, rejected: int = 0) -> bool:
        return store.pools.put(name, in_use=1, waiting=0, limit=5, rejected=rejected)

    def test_of_settings_that_came_and_went_make_room(self, another: Another) -> None:
        for number in range(3 * SMALL.pools):
            process = another()
            assert self.put(process, str(number)), number
            process.close()

    def test_of_the_living_go_on_and_of_the_others_the_least_goes(self, another: Another) -> None:
        living, process = another(), another()
        assert self.put(living, "read")
        for number, name in enumerate(("write", "other", "auth"), 1):
            assert self.put(process, name, rejected=number)
        process.close()
        assert self.put(another(), "new")
        assert living.pools.totals() == {
            "read": Gauge(in_use=1, limit=5),
            "new": Gauge(in_use=1, limit=5),
            "other": Gauge(rejected=2),
            "auth": Gauge(rejected=3),
        }

    def test_count_no_refusal_of_the_pool_that_had_the_place(
        self, another: Another, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is cleared at any moment before the place is surely this pool's."""
        process = another()
        assert self.put(process, "old", rejected=7)
        process.close()
        living, giver = another(), another()
        usual = Names.holds

        def cleared(self: Names, *asked: Any, **how: Any) -> bool:
            monkeypatch.setattr(Names, "holds", usual)
            giver.pools._users.clear(0, 0.0)
            return usual(self, *asked, **how)

        monkeypatch.setattr(Names, "holds", cleared)
        assert self.put(living, "old", rejected=1)
        assert living.pools.totals()["old"].rejected == 1

    def test_that_are_used_keep_their_gauges_while_somebody_looks_whether_they_are(
        self, another: Another
    ) -> None:
        store = another()
        assert self.put(store, "read", rejected=1)
        store.words[store.layout.pool_names.of(1)] |= 1 << 62
        assert self.put(store, "read", rejected=2)
        assert another().pools.totals() == {"read": Gauge(in_use=1, limit=5, rejected=2)}

    def test_show_nothing_of_the_last_process_of_a_slot(self, another: Another) -> None:
        process = another()
        assert self.put(process, "read", rejected=2)
        process.close()
        successor = another()
        assert successor.slot() == 0
        assert successor.pools.totals() == {"read": Gauge(rejected=2)}

    def test_that_lost_their_name_on_the_way_are_looked_up_again(self, another: Another) -> None:
        store = another()
        assert self.put(store, "read")
        store.words[store.layout.pool_names.of(1)] = 0
        assert not self.put(store, "read")
        assert store.words[store.layout.gauges.of(0)] == 0
        assert self.put(store, "read")
        assert store.pools.totals() == {"read": Gauge(in_use=1, limit=5)}
