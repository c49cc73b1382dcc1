"""Counts of one breaker's calls by operation and outcome, on the whole host, for the metrics."""

from .rules import SUCCESS, Outcome
from .store.store import Store
from .tally import Tally


class CallCounts:
    """This process's access to the counters of the breaker `name` in a store."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        # By outcome (None: late) and operation. The value None: there is no room to count it.
        self._tallies: dict[Outcome | None, dict[str, Tally | None]] = {}

    def add(self, operation: str, outcome: Outcome | None) -> None:
        """Count a call. The outcome None means that it belongs to an earlier generation."""
        try:
            tally = self._tallies[outcome][operation]
        except KeyError:
            tally = self._tally(operation, outcome)
            self._tallies.setdefault(outcome, {})[operation] = tally
        if tally is not None:
            tally.add()

    def put_right(self) -> None:
        """Correct counts that two threads stored in the wrong order; retry those that found no room."""
        for tallies in list(self._tallies.values()):
            for operation, tally in list(tallies.items()):
                if tally is None:
                    tallies.pop(operation, None)
                else:
                    tally.put_right()

    def totals(self, successes: int) -> dict[tuple[str, str], int]:
        """Return all calls of all processes, by operation and outcome; `successes` is the sum of the rows."""
        calls = {
            (labels[2], labels[3]): total
            for labels, total in self._store.counters.totals().items()
            if labels[:2] == ("calls", self._name)
        }
        elsewhere = sum(total for (_, outcome), total in calls.items() if outcome == "success")
        calls["call", "success"] = max(0, successes - elsewhere)
        return calls

    def _tally(self, operation: str, outcome: Outcome | None) -> Tally | None:
        # A success of "call" needs no counter: the rows count all successes, and the others are subtracted.
        if not self._store.layout.counters or (outcome is SUCCESS and operation == "call"):
            return None
        label = "late" if outcome is None else outcome.name.lower()
        at = self._store.counters.place("calls", self._name, operation, label)
        return None if at is None else Tally(self._store.words, at)
