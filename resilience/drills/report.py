"""What a drill has shown: JSON, and one HTML file that needs nothing else, with plots as inline SVG."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import django

from resilience.drills import plots
from resilience.drills.load import Answer
from resilience.drills.run import Result
from resilience.drills.verdict import Objective

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse }
td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top }
.met { color: #1a7f37 } .missed { color: #b42318; font-weight: bold }
svg { width: 100%; height: auto; background: #fafafa }
svg text { font: 11px system-ui, sans-serif; fill: #555 }
"""


def write(folder: Path, result: Result, objectives: Sequence[Objective]) -> tuple[Path, Path]:
    """Write both files, named by time and fault, and return the HTML's path and the JSON's.

    Raises OSError where they cannot be written.
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
    """Return everything that was seen, ready for JSON; times in seconds since the first read."""
    return {
        "at": _iso(result),
        "versions": _versions(),
        "plan": asdict(result.plan),
        "passed": all(objective.met for objective in objectives),
        "objectives": [asdict(objective) for objective in objectives],
        "fault": result.fault,
        "recovered": result.recovered,
        "met": result.met,
        "phases": {name: summary(answers) for name, answers in phases(result).items()},
        "states": result.states,
        "answers": [asdict(answer) for answer in result.answers],
    }


def as_html(result: Result, objectives: Sequence[Objective]) -> str:
    """Return the page."""
    plan = result.plan
    passed = all(objective.met for objective in objectives)
    verdict = '<span class="met">passed</span>' if passed else '<span class="missed">not passed</span>'
    about = (
        f"{_iso(result)}; {plan.rate:g} reads per second of {plan.url}; fault “{plan.kind}” on "
        f"{100 * plan.share:g} % of the calls for {plan.seconds:g} s"
        + (f", {plan.delay:g} s each" if plan.kind in ("latency", "flap") else "")
        + f"; {_versions()}"
    )
    parts = [
        f"<h1>Drill: {escape(', '.join(plan.names))} — {verdict}</h1>",
        f"<p>{escape(about)}</p>",
        "<h2>Objectives</h2>",
        _table(
            ["objective", "measured", ""],
            [
                [
                    escape(each.name),
                    escape(each.measured),
                    '<span class="met">met</span>' if each.met else '<span class="missed">missed</span>',
                ]
                for each in objectives
            ],
        ),
        "<h2>Answers</h2>",
        _table(
            ["phase", "reads", "p50", "p99", "slowest", "sources"],
            [
                [escape(name), *map(escape, shown(summary(answers)))]
                for name, answers in phases(result).items()
            ],
        ),
        "<h2>How long each answer took, by its source</h2>",
        plots.latencies(result),
        "<h2>Answers per second, by their source</h2>",
        plots.rates(result),
        "<h2>State of the breakers</h2>",
        plots.states(result),
        f"<p>Paths: {', '.join(f'<code>{escape(path)}</code>' for path in plan.paths)}</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f"<title>Drill: {escape(', '.join(plan.names))}</title><style>{_STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</html>\n"
    )


def phases(result: Result) -> dict[str, list[Answer]]:
    """Return the answers by when they were asked for: before, during and after the fault."""
    begin, end = result.fault
    return {
        "before": [each for each in result.answers if each.at < begin],
        "during": [each for each in result.answers if begin <= each.at < end],
        "after": [each for each in result.answers if each.at >= end],
    }


def summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return count, sources, and times in seconds."""
    times = sorted(answer.seconds for answer in answers) or [0.0]
    return {
        "reads": len(answers),
        "p50": times[len(times) // 2],
        "p99": times[int(len(times) * 0.99)],
        "slowest": times[-1],
        "sources": dict(sorted(Counter(answer.source for answer in answers).items())),
    }


def shown(said: dict[str, Any]) -> list[str]:
    """Return a summary as cells for people."""
    return [
        str(said["reads"]),
        *(f"{1000 * said[name]:.0f} ms" for name in ("p50", "p99", "slowest")),
        ", ".join(f"{source}: {count}" for source, count in said["sources"].items()),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def _iso(result: Result) -> str:
    return datetime.fromtimestamp(result.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _versions() -> str:
    return f"Python {platform.python_version()}, Django {django.get_version()}"
