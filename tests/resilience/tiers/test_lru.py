"""A bounded memory: what it keeps, and what a flood can do to it."""

from resilience.tiers.lru import LRU


class TestMemory:
    def test_returns_what_was_put(self) -> None:
        memory: LRU[str] = LRU(800)
        memory.put("a", "one", 10)
        assert memory.get("a") == "one"
        assert memory.get("b") is None

    def test_never_holds_more_than_its_limit(self) -> None:
        memory: LRU[int] = LRU(800)
        for number in range(100):
            memory.put(number, number, 50)
            memory.get(number - 3)
        held = [number for number in range(100) if memory.get(number) is not None]
        assert 0 < len(held) <= 800 // 50

    def test_takes_nothing_that_would_fill_it_alone(self) -> None:
        memory: LRU[str] = LRU(800)
        memory.put("a", "small", 10)
        memory.put("a", "huge", 101)
        assert memory.get("a") is None

    def test_a_flood_of_things_asked_for_once_leaves_what_was_asked_for_twice(self) -> None:
        memory: LRU[str] = LRU(8_000)
        for name in ("home", "jazz"):
            memory.put(name, name, 100)
            memory.get(name)
        for number in range(10_000):
            memory.put(number, "once", 100)
        assert (memory.get("home"), memory.get("jazz")) == ("home", "jazz")

    def test_what_is_no_longer_asked_for_makes_place(self) -> None:
        memory: LRU[int] = LRU(800)
        memory.put("old", 0, 100)
        memory.get("old")
        for number in range(20):
            memory.put(number, number, 100)
            memory.get(number)
            memory.put(f"{number}-once", number, 100)
        assert memory.get("old") is None

    def test_a_new_value_takes_the_place_of_the_old_one(self) -> None:
        memory: LRU[str] = LRU(800)
        memory.put("other", "stays", 60)
        for number in range(40):
            memory.put("a", str(number), 60)
            memory.get("a")
        assert (memory.get("a"), memory.get("other")) == ("39", "stays")

    def test_forgets_everything_when_cleared(self) -> None:
        memory: LRU[str] = LRU(800)
        memory.put("a", "one", 10)
        memory.put("b", "two", 10)
        memory.get("b")
        memory.clear()
        assert (memory.get("a"), memory.get("b")) == (None, None)
