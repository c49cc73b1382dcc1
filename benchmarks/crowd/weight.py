"""What a worker weighs: when it has started, with few clients, and after a crowd of 128."""

from __future__ import annotations

from pathlib import Path

from benchmarks.crowd.load import Role, load, never_asked
from benchmarks.crowd.plan import Plan, tell
from benchmarks.crowd.sites import Field
from benchmarks.tables import Table, table

CROWDS = (0, 4, 128)


def weight(field: Field, plan: Plan) -> Table:
    """Weigh the heaviest worker of the guarded site after each crowd."""
    rows = []
    for clients in CROWDS:
        if clients:
            tell(f"weight, {clients} clients")
            load(field.ours.port, [Role("readers", clients, never_asked())], plan.seconds)
        resident, own = field.ours.memory()
        threads = max(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in field.ours.workers())
        rows.append((str(clients), str(threads), f"{resident:.0f}", f"{own:.0f}"))
    return table(("clients before", "threads", "a worker's MB, resident", "a worker's MB, own share"), rows)
