"""Where everything lies in the store's memory, in words of eight bytes."""

from dataclasses import dataclass, field
from typing import NamedTuple

from .row import ROW_WORDS

# Part of the file's name: raise it with every change of what lies where or what it means, so that the
# old and the new workers of a rolling deploy never read each other's bytes.
FORMAT = 6
WORD = 8

# The header.
MAGIC, VERSION, SIZE, READY = 0, 1, 2, 3
BOOT = 4  # 40 bytes
SECRET = 9  # keys the hashes of `limits`
SECRET_BYTES = 16
USED_SLOTS = 11  # how many slots were ever used
HELD = 12  # since when the lock is held, monotonic seconds as a float; 0: it is not, as far as known
LIMITS_HELD = 13  # the same of the lock of `limits`
HEADER_WORDS = 64

# A versioned record is one word, which names the version in force, and four copies.
COPIES = 4
BREAKER_COPY = 256  # 2 KiB: a record with 16 permits and an override in any script
SMALL_COPY = 64
LARGE_COPY = 1024
MARKS_COPY = 256  # 2 KiB: 32 rows with two numbers of 19 digits each

NAME_WORDS = 16  # 128 bytes
SLOT_WORDS = 8
ERROR_WORDS = 32
GAUGE_WORDS = 4
LIMIT_WORDS = 4


class Region(NamedTuple):
    """`room` things of `stride` words each, the first of which is at word `at`."""

    at: int
    room: int
    stride: int

    def of(self, index: int) -> int:
        return self.at + index * self.stride

    @property
    def end(self) -> int:
        return self.at + self.room * self.stride


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Room for this number of breakers, of slots, of counters and pools for each slot, and of limits.

    One that is not `whole` lacks what only the processes of a host have to tell each other.
    """

    breakers: int
    slots: int
    counters: int = 0
    pools: int = 0
    limits: int = 0
    whole: bool = True

    breaker_names: Region = field(init=False)
    records: Region = field(init=False)
    rows: Region = field(init=False)
    slot_info: Region = field(init=False)
    last_errors: Region = field(init=False)
    lease: Region = field(init=False)
    marks: Region = field(init=False)
    faults: Region = field(init=False)
    table_locks: Region = field(init=False)
    silences: Region = field(init=False)
    lacks: Region = field(init=False)
    shed: Region = field(init=False)
    folders: Region = field(init=False)
    counter_names: Region = field(init=False)
    counts: Region = field(init=False)
    counter_users: Region = field(init=False)
    pool_names: Region = field(init=False)
    gauges: Region = field(init=False)
    limit_entries: Region = field(init=False)
    words: int = field(init=False)

    def __post_init__(self) -> None:
        end = HEADER_WORDS
        for name, count, stride in (
            ("breaker_names", 1 + self.breakers, NAME_WORDS),
            ("records", self.breakers, 1 + COPIES * BREAKER_COPY),
            # All rows of a breaker lie side by side: they are read together.
            ("rows", self.breakers, self.slots * ROW_WORDS),
            ("slot_info", self.slots, SLOT_WORDS),
            ("last_errors", self.breakers, ERROR_WORDS),
            ("lease", int(self.whole), 1 + COPIES * SMALL_COPY),
            ("marks", int(self.whole), 1 + COPIES * MARKS_COPY),
            ("faults", int(self.whole), 1 + COPIES * LARGE_COPY),
            ("table_locks", int(self.whole), 1 + COPIES * LARGE_COPY),
            ("silences", int(self.whole), 1 + COPIES * LARGE_COPY),
            ("lacks", int(self.whole), 1 + COPIES * LARGE_COPY),
            ("shed", int(self.whole), 1 + COPIES * LARGE_COPY),
            ("folders", int(self.whole), 1 + COPIES * LARGE_COPY),
            ("counter_names", 1 + self.counters, NAME_WORDS),
            ("counts", self.slots, self.counters),
            # A byte for each counter: whether the process of the slot counts there.
            ("counter_users", self.slots, -(-self.counters // WORD)),
            ("pool_names", 1 + self.pools, NAME_WORDS),
            ("gauges", self.slots, self.pools * GAUGE_WORDS),
            ("limit_entries", self.limits, LIMIT_WORDS),
        ):
            region = Region(end, count, stride)
            object.__setattr__(self, name, region)
            end = region.end
        object.__setattr__(self, "words", end)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.words * WORD


HOST = Layout(breakers=64, slots=1024, counters=512, pools=16, limits=65_536)
# The same for one process, which falls back on it when no host store can be had.
LOCAL = Layout(breakers=64, slots=1, counters=512, pools=16, limits=65_536)
# A breaker that nobody declared, in the memory of its process.
ALONE = Layout(breakers=1, slots=1, whole=False)
