"""The sliding window: how the recent calls of one dependency ended, counted per process, read by all.

Each process writes a row of its own, so counting takes no lock between processes. A row has a count of
successes, which a call raises without any lock (see `Tally`), and ten buckets, each for a tenth of the
window. When the next tenth begins, the count is carried over into the bucket of the last one. Until then it
belongs to the bucket that `CURRENT` names, so other processes see all counts, even of an idle process. A call
older than the window never counts. One in the oldest tenth of the window may be forgotten early. But the
times of the last eight failures of each process are kept.
"""

import threading

from .config import BreakerConfig
from .rules import Totals
from .store.layout import USED_SLOTS
from .store.row import (
    BUCKET_COUNT,
    BUCKETS,
    CARRIED,
    COUNT,
    CURRENT,
    FAILED,
    OWNER,
    REJECTED,
    RING,
    RING_SIZE,
    ROW_WORDS,
    RUN,
    RUN_AT,
    TAG,
    TROUBLE,
    WIDTH,
)
from .store.store import Store
from .tally import Tally

_MOST = 0xFFFF  # failures or slow calls that one bucket of one process can hold
_NUMBERS = 0x7FFFFFFF  # bucket numbers have 31 bits


class Window:
    """This process's row of one breaker, and the sum over all rows.

    `rows` is the word at which the breaker's rows begin; `slot` is the number of this process's row.
    """

    def __init__(self, store: Store, rows: int, slot: int, config: BreakerConfig) -> None:
        self._store = store
        self._words = store.words
        self._times = store.times
        self._rows = rows
        self._row = rows + slot * ROW_WORDS
        self._config = config
        self._width = config.window / BUCKET_COUNT
        self._width_mark = round(self._width * 1e6)
        self.tag = -1
        self._owner = -1 if (me := store.me()) is None else me
        self._words[self._row + OWNER] = self._owner
        self.successes = Tally(self._words, self._row + COUNT)
        self.refusals = Tally(self._words, self._row + REJECTED)
        self._lock = threading.Lock()
        self.due = 0.0
        """When the count must be carried next; a call that ends later does so first."""
        # Guarded by _lock: the present bucket, and how many more bad calls in it need no look at the rule.
        self._bucket = 0
        self._patience = 0.0

    def begin(self, tag: int, now: float) -> None:
        """Count for window `tag`; forget the row if it counted for another one."""
        words, row = self._words, self._row
        with self._lock:
            if tag <= self.tag:
                return  # another thread was faster
            self.tag = tag
            if words[row + TAG] != tag or words[row + WIDTH] != self._width_mark:
                words[row + TAG] = -1
                words[row + WIDTH] = self._width_mark
                words[row + CARRIED] = self.successes.put_right()
                words[row + CURRENT] = int(now / self._width)
                for at in (TROUBLE, RUN, RUN_AT, FAILED, *range(RING, ROW_WORDS)):
                    words[row + at] = 0
                words[row + TAG] = tag
            self._roll_locked(now)

    def leave(self) -> None:
        """Note that this process does not count here after all."""
        self._words[self._row + OWNER] = -1

    def _roll_locked(self, now: float) -> None:
        """Enter the present bucket, and carry the count over to the earlier one that it belongs to."""
        words, row = self._words, self._row
        number = int(now / self._width)
        current = words[row + CURRENT]
        if current != number:
            made = self.successes.put_right()
            pending = made - words[row + CARRIED]
            if pending > 0:
                at = self._bucket_locked(current)
                # For an instant it is counted twice. Not counted at all, it could open a breaker.
                words[at] += pending
                words[row + CARRIED] = made
            words[row + CURRENT] = number
        self._bucket = self._bucket_locked(number)
        self._patience = 0.0
        self.due = min((number + 1) * self._width, now + 1.0)

    def _bucket_locked(self, number: int) -> int:
        words = self._words
        at = self._row + BUCKETS + 2 * (number % BUCKET_COUNT)
        mark = (number & _NUMBERS) << 32
        if words[at + 1] >> 32 != number & _NUMBERS:
            words[at + 1] = 0
            words[at] = 0
            words[at + 1] = mark
        return at

    def tick(self, now: float) -> None:
        """Carry the count of successes over, if its bucket is past."""
        with self._lock:
            # Another thread may just have given up this place, after its name was lost (`store.names`).
            self._words[self._row + OWNER] = self._owner
            self._roll_locked(now)

    def add_failure(self, now: float) -> int:
        """Count a failure. Return the number of bad calls on the host if `must_open` has to be asked, else 0.

        Anything `due` by `now` must have been done.
        """
        words, row = self._words, self._row
        with self._lock:
            at = self._bucket + 1
            if (words[at] >> 16) & _MOST < _MOST:
                words[at] += 1 << 16
            failed = words[row + FAILED]
            self._times[row + RING + failed % RING_SIZE] = now
            words[row + FAILED] = failed + 1
            words[row + TROUBLE] += 1
            total = self._host_successes()
            words[row + RUN] = run = words[row + RUN] + 1 if words[row + RUN_AT] == total else 1
            words[row + RUN_AT] = total
            # The others' are read only now: of two that fail at one instant the later one sees both.
            trouble, unbroken = self._host_trouble(total)
            return self._worth_locked(trouble, unbroken + run)

    def add_slow(self) -> int:
        """Count a slow call; return as `add_failure` does."""
        words, row = self._words, self._row
        with self._lock:
            at = self._bucket + 1
            if words[at] & _MOST < _MOST:
                words[at] += 1
            words[row + TROUBLE] += 1
            # It lengthens no run of failures, so only the share of bad calls can open the breaker.
            return self._worth_locked(self._host_trouble(-1)[0], 0)

    def _host_rows(self) -> range:
        return range(self._rows, self._rows + self._words[USED_SLOTS] * ROW_WORDS, ROW_WORDS)

    def _host_successes(self) -> int:
        """Sum all successes."""
        words = self._words
        return sum([words[row + COUNT] for row in self._host_rows()])

    def _host_trouble(self, total: int) -> tuple[int, int]:
        """Sum the bad calls of this window, and the runs of *other* processes since `total` successes."""
        words, tag, width, own = self._words, self.tag, self._width_mark, self._row
        trouble = unbroken = 0
        for row in self._host_rows():
            if words[row + TAG] == tag and words[row + WIDTH] == width:
                trouble += words[row + TROUBLE]
                if row != own and words[row + RUN_AT] == total:
                    unbroken += words[row + RUN]
        return trouble, unbroken

    def _worth_locked(self, trouble: int, unbroken: int) -> int:
        threshold = self._config.failure_threshold
        if trouble < threshold or (unbroken < threshold and trouble < self._patience):
            return 0
        return trouble

    def bide(self, totals: Totals, trouble: int) -> None:
        """Remember that the breaker stayed closed with `totals`, when there were `trouble` bad calls.

        Until the next bucket no call leaves the window. So with n more bad calls there are at most T + n out
        of at least C + n, which is too small a share while n is below (rate * C - T) / (1 - rate).
        """
        rate = self._config.failure_rate
        known = totals.failures + totals.slow
        more = self._config.minimum_volume * rate - known
        if rate < 1:
            more = max(more, (rate * totals.calls - known) / (1 - rate))
        with self._lock:
            self._patience = trouble + max(more, 0.0)

    def totals(self, now: float) -> Totals:
        """Sum the rows of all processes, living or not, over the window."""
        return sum_rows(self._store, self._rows, self.tag, self._config, now)


def is_counted(store: Store, rows: int) -> bool:
    """Tell whether a living process counts in one of the rows that begin at `rows`; needs no slot."""
    return any(
        owner >= 0 and owner % store.layout.slots == slot and store.alive(owner)
        for slot in range(store.used_slots)
        for owner in (store.words[rows + slot * ROW_WORDS + OWNER],)
    )


def sum_rows(store: Store, rows: int, tag: int, config: BreakerConfig, now: float) -> Totals:
    """Sum the rows that begin at `rows` and count for window `tag`; needs no slot."""
    words = store.words
    width = config.window / BUCKET_COUNT
    mark = round(width * 1e6)
    last = int(now / width)
    wanted = {number & _NUMBERS for number in range(last - BUCKET_COUNT + 1, last + 1)}
    failures = slow = successes = recent = total = 0
    runs: list[tuple[int, int]] = []
    for at in range(rows, rows + words[USED_SLOTS] * ROW_WORDS, ROW_WORDS):
        row = words[at : at + ROW_WORDS].tolist()
        total += row[COUNT]
        if row[TAG] != tag or row[WIDTH] != mark:
            continue
        if last - BUCKET_COUNT < row[CURRENT]:
            successes += max(row[COUNT] - row[CARRIED], 0)
        for bucket in range(BUCKETS, ROW_WORDS, 2):
            packed = row[bucket + 1]
            if packed >> 32 in wanted:
                successes += row[bucket]
                failures += (packed >> 16) & _MOST
                slow += packed & _MOST
        if row[FAILED]:
            ring = store.times[at + RING : at + BUCKETS].tolist()
            recent += sum(1 for moment in ring if moment and now - moment <= config.window)
            runs.append((row[RUN_AT], row[RUN]))
    unbroken = sum(run for at_total, run in runs if at_total == total)
    return Totals(max(failures, recent), slow, successes, unbroken)
