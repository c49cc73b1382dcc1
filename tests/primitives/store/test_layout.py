"""Where everything lies: side by side, without a gap, with room for what was asked for and no more."""

from itertools import pairwise

from resilience.primitives.store import Layout, LocalStore
from resilience.primitives.store.layout import COPIES, HEADER_WORDS, Region
from resilience.primitives.store.row import ROW_WORDS

NAMES = (
    "breaker_names",
    "records",
    "rows",
    "slot_info",
    "last_errors",
    "lease",
    "marks",
    "faults",
    "table_locks",
    "silences",
    "lacks",
    "shed",
    "folders",
    "counter_names",
    "counts",
    "counter_users",
    "pool_names",
    "gauges",
    "limit_entries",
)


def regions(layout: Layout) -> dict[str, Region]:
    return {name: getattr(layout, name) for name in NAMES}


class TestLayout:
    def test_has_room_for_what_was_asked_for(self) -> None:
        found = regions(Layout(breakers=2, slots=3, counters=5, pools=7, limits=11))
        assert {name: (region.room, region.stride) for name, region in found.items()} == {
            # A list of names begins with how many there are.
            "breaker_names": (3, 16),
            # A versioned record is a word that names the copy in force, and four copies.
            "records": (2, 1 + 4 * 256),
            "rows": (2, 3 * ROW_WORDS),
            "slot_info": (3, 8),
            "last_errors": (2, 32),
            "lease": (1, 1 + 4 * 64),
            "marks": (1, 1 + 4 * 256),
            "faults": (1, 1 + 4 * 1024),
            "table_locks": (1, 1 + 4 * 1024),
            "silences": (1, 1 + 4 * 1024),
            "lacks": (1, 1 + 4 * 1024),
            "shed": (1, 1 + 4 * 1024),
            "folders": (1, 1 + 4 * 1024),
            "counter_names": (6, 16),
            "counts": (3, 5),
            # A byte for each counter, in whole words.
            "counter_users": (3, 1),
            "pool_names": (8, 16),
            "gauges": (3, 7 * 4),
            "limit_entries": (11, 4),
        }

    def test_of_one_breaker_alone_has_nothing_to_share(self) -> None:
        found = regions(Layout(breakers=1, slots=1, whole=False))
        shared = ("lease", "marks", "faults", "table_locks", "silences", "lacks", "shed", "folders")
        assert {found[name].room for name in shared} == {0}

    def test_leaves_no_gap_and_nothing_lies_in_two_places(self) -> None:
        layout = Layout(breakers=2, slots=3, counters=5, pools=7, limits=11)
        found = list(regions(layout).values())
        assert found[0].at == HEADER_WORDS
        assert all(before.end == after.at for before, after in pairwise(found))
        assert (layout.words, layout.size) == (found[-1].end, 8 * found[-1].end)

    def test_gives_each_section_as_much_as_its_copies_take(self) -> None:
        store = LocalStore()
        for name in ("lease", "marks", "faults", "table_locks", "silences", "lacks", "shed", "folders"):
            region, value = getattr(store.layout, name), getattr(store, name)._value
            assert (region.at, region.stride) == (value._at, 1 + COPIES * value._stride), name

    def test_counts_its_things_from_the_first(self) -> None:
        region = Region(at=100, room=3, stride=8)
        assert [region.of(index) for index in range(3)] == [100, 108, 116]
        assert region.end == 124
