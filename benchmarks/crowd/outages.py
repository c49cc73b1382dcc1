"""A crowd of readers while PostgreSQL is frozen or killed, again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

from benchmarks.crowd.load import Answer, Role, load, never_asked
from benchmarks.crowd.plan import Plan, tell
from benchmarks.crowd.sites import CrowdSite, Field
from benchmarks.tables import Table, table

CROWD = 32
OPEN_FOR = 5.0  # seconds, of the open interval
WELL = 3.0  # seconds of load before the fault
BROKEN = 7.0  # seconds that it lasts: longer than the open interval, so that a probe fails in it
AFTER = OPEN_FOR + 5.0  # seconds of load from the repair on


class Try(NamedTuple):
    """One outage: answers, those that are no 200, those with a breaker open too soon, and seconds."""

    answers: int
    refused: int
    too_soon: int
    slowest: float
    opened: float
    live_again: float


def outages(field: Field, plan: Plan) -> Table:
    """Freeze and kill the server, each as often as the plan says; the site has a shorter open interval."""
    field.pace.set(0.0)
    own = {
        "DJANGO_SETTINGS_MODULE": "tests.functional.settings",
        "OUTAGE_OPEN_FOR": str(OPEN_FOR),
        "STATIC_DIR": field.ours.variables["STATIC_DIR"],
    }
    rows = []
    postgres = field.postgres
    with CrowdSite("outages", field.shared | own) as site:
        for name, fault, repair in (
            ("frozen", postgres.freeze, postgres.thaw),
            ("killed", postgres.kill, postgres.start),
        ):
            tries = []
            for number in range(plan.outages):
                tries.append(_try(site, fault, repair))
                tell(f"{name}, {number + 1} of {plan.outages}: {tries[-1]}")
            rows.append(
                (
                    *(name, str(len(tries)), f"{sum(each.answers for each in tries):,}"),
                    str(sum(each.refused for each in tries)),
                    str(sum(each.too_soon for each in tries)),
                    *(_cell([getattr(each, part) for each in tries]) for part in Try._fields[3:]),
                )
            )
    heads = (
        *("PostgreSQL", "tries", "answers", "not 200", "OPEN before it", "slowest, s", "OPEN after, s"),
        "live again after, s",
    )
    return table(heads, rows)


def _try(site: CrowdSite, fault: Callable[[], object], repair: Callable[[], object]) -> Try:
    _until_well(site)
    with ThreadPoolExecutor(1) as pool:
        seconds = WELL + BROKEN + AFTER
        loaded = pool.submit(load, site.port, [Role("readers", CROWD, never_asked())], seconds, warm=0.0)
        time.sleep(WELL)
        broken = time.monotonic()
        fault()
        time.sleep(BROKEN)
        repair()
        repaired = time.monotonic()
        answers = loaded.result()["readers"]
    opened = [each.at for each in answers if each.breakers.get("db") == "OPEN" and each.at > broken]
    live = [each.at for each in answers if _is_live(each) and each.began > repaired]
    return Try(
        len(answers),
        sum(each.status != 200 for each in answers),
        sum(not each.is_closed for each in answers if each.at < broken),
        max(each.seconds for each in answers),
        min(opened, default=float("inf")) - broken,
        min(live, default=float("inf")) - repaired,
    )


def _until_well(site: CrowdSite) -> None:
    """Return once it has given a live answer. Raises RuntimeError after half a minute."""
    limit = time.monotonic() + 30
    while not any(map(_is_live, load(site.port, [Role("reader", 1, never_asked())], 0.5)["reader"])):
        if time.monotonic() > limit:
            raise RuntimeError("the site does not become well")


def _is_live(answer: Answer) -> bool:
    return answer.is_full and answer.is_closed and answer.source == "live"


def _cell(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
