"""When something was last met by any process."""

from resilience.primitives import HostStore


class TestSilences:
    def test_keep_the_latest_of_each_dependency(self, one: HostStore, two: HostStore) -> None:
        assert one.silences.latest("database") == 0.0
        assert one.silences.note("database", 20.0)
        assert two.silences.note("database", 10.0)
        assert two.silences.note("cache", 5.0)
        assert [one.silences.latest(name) for name in ("database", "cache")] == [20.0, 5.0]

    def test_say_when_one_could_not_be_noted(self, one: HostStore, busy: HostStore) -> None:
        assert not one.silences.note("database", 20.0)
