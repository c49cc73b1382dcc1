"""The report of a drill: JSON, and one HTML file that loads nothing, with plots as inline SVG."""

from __future__ import annotations

import json
import math
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from django.template import Context, Engine

from resilience import faults
from resilience.drills import plots
from resilience.drills.load import Answer
from resilience.drills.run import Result
from resilience.drills.verdict import Objective
from resilience.primitives.clock import iso

_TEMPLATES = str(Path(__file__).parent / "templates")


def write(folder: Path, result: Result, objectives: Sequence[Objective]) -> tuple[Path, Path]:
    """Write both files, named by time and fault; return the path of the HTML and that of the JSON.

    Raises OSError if they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    at = datetime.fromtimestamp(result.at, UTC)
    what = "all" if len(result.plan.names) > 1 else result.plan.names[0]
    stem = f"{at:%Y%m%dT%H%M%SZ}-{what}-{result.plan.kind}"
    page, data = folder / f"{stem}.html", folder / f"{stem}.json"
    page.write_text(as_html(result, objectives), encoding="utf-8")
    data.write_text(json.dumps(as_json(result, objectives), indent=1), encoding="utf-8")
    return page, data


def as_json(result: Result, objectives: Sequence[Objective]) -> dict[str, Any]:
    """Return the whole result, ready for JSON; times are in seconds since the first read."""
    return {
        "at": iso(result.at),
        "versions": _versions(),
        "plan": asdict(result.plan),
        "passed": all(objective.met for objective in objectives),
        "objectives": [asdict(objective) for objective in objectives],
        "fault": result.fault,
        "recovered": result.recovered,
        "met": result.met,
        "phases": {name: summary(answers) for name, answers in phases(result).items()},
        "states": result.states,
        "sign_ins": [asdict(attempt) for attempt in result.sign_ins],
        "answers": [asdict(answer) for answer in result.answers],
    }


def as_html(result: Result, objectives: Sequence[Objective]) -> str:
    """Return the page."""
    plan = result.plan
    tables = [
        (
            "Answers",
            ["phase", "reads", "p50", "p99", "slowest", "sources", "degraded or refused since"],
            [
                [name, *shown(said), _counts(said["reasons"])]
                for name, said in ((name, summary(answers)) for name, answers in phases(result).items())
            ],
        )
    ]
    if plan.user:
        rows = [[name, *cells] for name, cells in sign_ins(result).items()]
        tables.append(("Sign-ins", ["phase", "sign-ins", "slowest", "answers"], rows))
    page = {
        "names": ", ".join(plan.names),
        "passed": all(objective.met for objective in objectives),
        "about": _about(result),
        "facts": _facts(result),
        "objectives": objectives,
        "tables": tables,
        "plots": [
            ("How long each answer took, by its source", plots.latencies(result)),
            ("Answers per second, by their source", plots.rates(result)),
            ("State of the breakers", plots.states(result)),
        ],
        "paths": plan.paths,
    }
    # Found without the project's template loaders.
    return Engine(dirs=[_TEMPLATES]).get_template("resilience/drill.html").render(Context(page))


def _about(result: Result) -> str:
    plan = result.plan
    what = f"fault “{plan.kind}” for {plan.seconds:g} s"
    if plan.kind in faults.REAL:
        what += " on the real server"
    else:
        what += f" on {100 * plan.share:g} % of the calls"
    if plan.kind in ("latency", "flap"):
        what += f", {plan.delay:g} s each"
    return f"{iso(result.at)} · {what} · {plan.rate:g} reads per second of {plan.url} · {_versions()}"


def _facts(result: Result) -> list[tuple[str, str]]:
    """Return the most important figures."""
    good = sum(answer.status == 200 for answer in result.answers)
    slowest = max((answer.seconds for answer in result.answers), default=0.0)
    return [
        ("reads answered by 200", _share(good, len(result.answers))),
        ("slowest read", f"{slowest:.2f} s"),
        ("calls that met the fault", f"{sum(result.met.values())}"),
        ("closed again after", "not in time" if result.recovered is None else f"{result.recovered:.1f} s"),
    ]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.4g} %" if whole else "none"


def phases(result: Result) -> dict[str, list[Answer]]:
    """Return the answers by when they were due: before, during and after the fault."""
    begin, end = result.fault
    return {
        "before": [each for each in result.answers if each.at < begin],
        "during": [each for each in result.answers if begin <= each.at < end],
        "after": [each for each in result.answers if each.at >= end],
    }


def sign_ins(result: Result) -> dict[str, list[str]]:
    """Return, by phase, the number of sign-ins, the time of the slowest, and the statuses."""
    begin, end = result.fault
    spans = {"before": (0.0, begin), "during": (begin, end), "after": (end, math.inf)}
    found = {}
    for name, (first, last) in spans.items():
        attempts = [each for each in result.sign_ins if first <= each.at < last]
        statuses = sorted(Counter(each.status for each in attempts).items())
        slowest = max((each.seconds for each in attempts), default=0.0)
        told = ", ".join(f"{status or 'no answer'}: {count}" for status, count in statuses)
        found[name] = [str(len(attempts)), f"{1000 * slowest:.0f} ms", told]
    return found


def summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the count, the sources, the reasons of degraded answers and 503s, and the times in seconds."""
    times = sorted(answer.seconds for answer in answers) or [0.0]
    return {
        "reads": len(answers),
        "p50": times[len(times) // 2],
        "p99": times[int(len(times) * 0.99)],
        "slowest": times[-1],
        "sources": dict(sorted(Counter(answer.source for answer in answers).items())),
        "reasons": dict(sorted(Counter(answer.reason for answer in answers if answer.reason).items())),
    }


def shown(said: dict[str, Any]) -> list[str]:
    """Return a summary as cells for people."""
    return [
        str(said["reads"]),
        *(f"{1000 * said[name]:.0f} ms" for name in ("p50", "p99", "slowest")),
        _counts(said["sources"]),
    ]


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in found.items())


def _versions() -> str:
    return f"Python {platform.python_version()}, Django {django.get_version()}"
