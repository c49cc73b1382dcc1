"""How many connections a process has that serves by ASGI."""

from __future__ import annotations

from benchmarks.crowd.figures import Taken
from benchmarks.crowd.load import Role, load, never_asked
from benchmarks.crowd.plan import Plan, tell
from benchmarks.crowd.sites import AsgiSite, Connections, Field
from benchmarks.tables import Table, table

SIZES = (4, 48)
MINUTE = 60.0


def asgi(field: Field, plan: Plan) -> Table:
    """Ask one process for a minute, by a few and by a crowd, and count its connections."""
    field.pace.set(0.02)
    rows = []
    with AsgiSite("asgi", field.shared | {"STATIC_DIR": field.ours.variables["STATIC_DIR"]}) as site:
        for size in SIZES:
            tell(f"ASGI, {size} clients")
            with Connections(field.postgres) as connections:
                answers = load(site.port, [Role("readers", size, never_asked())], MINUTE)["readers"]
            taken = Taken(MINUTE, [answers])
            rows.append(
                (
                    *(str(size), f"{len(answers):,}", taken.statuses()),
                    f"{taken.share(lambda answer: not answer.is_full):.1f}",
                    str(connections.of(site)),
                )
            )
    return table(("clients at once", "answers", "statuses", "stand-ins, %", "connections"), rows)
