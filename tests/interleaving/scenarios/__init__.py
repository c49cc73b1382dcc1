"""What is tried, by its name."""

from tests.interleaving.scenario import Scenario
from tests.interleaving.scenarios import breakers, lists, record, sections

SCENARIOS: dict[str, type[Scenario]] = {
    scenario.name: scenario
    for scenario in (
        record.Record,
        record.Late,
        record.Newcomer,
        sections.LeaseHeld,
        sections.MarksRise,
        sections.FaultsPut,
        sections.LatestNoted,
        sections.TableLocksMet,
        sections.FoldersWritten,
        sections.LastErrorsPut,
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
