"""What is tried, by its name."""

from tests.interleaving.scenario import Scenario
from tests.interleaving.scenarios import breakers, lists, record, values

SCENARIOS: dict[str, type[Scenario]] = {
    scenario.name: scenario
    for scenario in (
        record.Record,
        record.Late,
        record.Newcomer,
        values.LeaseHeld,
        values.MarksRise,
        values.FaultsPut,
        values.LatestNoted,
        values.TableLocksMet,
        values.FoldersWritten,
        values.LastErrorsPut,
        lists.CountersRaised,
        lists.CountersFull,
        lists.PoolsFull,
        lists.SlotsClaimed,
        lists.LimitsHit,
        breakers.OrdersTold,
        breakers.PermitsTaken,
        breakers.FailuresCounted,
        breakers.PlacesFull,
    )
}
