"""Names have one place for all processes."""

import pytest

from resilience.primitives import CircuitBreaker, HostStore
from resilience.primitives.store.layout import NAME_WORDS
from tests.primitives.conftest import SMALL


class TestNames:
    def test_have_the_same_place_for_all(self, one: HostStore, two: HostStore) -> None:
        assert one.breaker_names.index("database") == 0
        assert two.breaker_names.index("cache") == 1
        assert two.breaker_names.index("database") == 0
        assert one.breaker_names.all() == ["database", "cache"]

    def test_may_be_120_bytes_long(self, one: HostStore, two: HostStore) -> None:
        name = "\u6587" * 40
        assert one.breaker_names.index(name) == 0
        assert two.breaker_names.all() == [name]
        with pytest.raises(ValueError, match="is longer than the 120 bytes"):
            one.breaker_names.index(name + "x")

    def test_that_have_no_room_have_no_place(self, one: HostStore, two: HostStore) -> None:
        for n in range(SMALL.breakers):
            CircuitBreaker(name=str(n), store=one).call(int)
        places = [one.breaker_names.index(str(n)) for n in range(SMALL.breakers + 1)]
        assert places == [0, 1, 2, 3, None]
        assert two.breaker_names.index("other") is None
        assert two.breaker_names.index("other") is None

    @pytest.mark.parametrize("damage", [-1, 121 << 32, 3 << 32])
    def test_that_cannot_be_read_keep_their_place(self, one: HostStore, two: HostStore, damage: int) -> None:
        one.breaker_names.index("one")
        one.breaker_names.index("two")
        one.words[one.layout.breaker_names.at + NAME_WORDS] = damage
        assert two.breaker_names.all() == ["", "two"]
        assert two.breaker_names.index("two") == 1
        assert two.counters.totals() == {}

    @pytest.mark.parametrize("used", [-5, 10_000])
    def test_are_no_more_than_there_is_room_for(self, one: HostStore, used: int) -> None:
        one.words[one.layout.breaker_names.at] = used
        assert len(one.breaker_names.all()) in (0, SMALL.breakers)

    def test_written_by_two_at_once_count_once(self, one: HostStore, two: HostStore) -> None:
        class Late(type(two.lock)):  # type: ignore[misc]
            def take(self, *arguments: float) -> float | None:
                one.breaker_names.index("database")
                taken: float | None = super().take(*arguments)
                return taken

        two.lock.__class__ = Late
        assert two.breaker_names.index("database") == 0
        assert one.breaker_names.all() == ["database"]

    def test_written_under_a_lock_that_was_lost_are_looked_up_again(
        self, one: HostStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter([True, False, True])
        monkeypatch.setattr(type(one.lock), "valid", lambda self: next(answers, True))
        assert one.breaker_names.index("database") is None
        assert one.breaker_names.index("database") == 0

    def test_are_not_written_under_a_lock_that_was_lost_before(
        self, one: HostStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter([True, False])
        monkeypatch.setattr(type(one.lock), "valid", lambda self: next(answers, True))
        assert one.breaker_names.index("database") is None
        assert one.breaker_names.all() == []
