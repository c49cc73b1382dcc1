"""What a drill has shown: JSON, and one HTML file that needs nothing else, with plots as inline SVG."""

from __future__ import annotations

import json
import math
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import django

from resilience import faults
from resilience.drills import plots
from resilience.drills.load import Answer
from resilience.drills.run import Result
from resilience.drills.verdict import Objective

_STYLE = """
:root { color-scheme: light dark; --ground: light-dark(#f4f6f8, #10161c); --paper: light-dark(#fff, #18212a);
  --line: light-dark(#d5dce2, #2f3b46); --ink: light-dark(#1c2733, #e6ebf0);
  --quiet: light-dark(#55626f, #a3b0bc); --good: light-dark(#1d7a46, #5fce91);
  --bad: light-dark(#b3261e, #ff8a80) }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); margin: 0 }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.05rem; margin: 0 0 .6rem }
p { margin: .4rem 0; overflow-wrap: anywhere } .quiet { color: var(--quiet) }
.verdict { font-weight: 600; border: 1px solid currentColor; border-radius: 99px; padding: .1rem .8rem }
.met { color: var(--good) } .missed { color: var(--bad); font-weight: 600 }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1rem }
.facts { margin: 1rem 0 }
.facts div, section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px }
.facts div, section { padding: 1rem } .facts dt { color: var(--quiet); font-size: .85rem }
.facts dd { margin: 0; font-size: 1.35rem; font-weight: 600 }
section { margin: 1rem 0 } .wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
td, th { text-align: left; padding: .35rem 1rem .35rem 0; vertical-align: top }
td, th { border-top: 1px solid var(--line) } .figures td { white-space: nowrap }
tr:first-child > * { border-top: 0 } th { font-weight: 400; color: var(--quiet); font-size: .85rem }
td:last-child { padding-right: 0 }
.plot svg { display: block; width: 100%; min-width: 40rem; height: auto }
svg text { font: 11px system-ui, sans-serif; fill: var(--quiet) } svg line { stroke: var(--line) }
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
        "sign_ins": [asdict(attempt) for attempt in result.sign_ins],
        "answers": [asdict(answer) for answer in result.answers],
    }


def as_html(result: Result, objectives: Sequence[Objective]) -> str:
    """Return the page."""
    plan = result.plan
    passed = all(objective.met for objective in objectives)
    names = escape(", ".join(plan.names))
    parts = [
        f"<header><h1>Drill: {names}</h1>{_verdict(passed, 'passed', 'not passed', 'verdict ')}</header>",
        f'<p class="quiet">{escape(_about(result))}</p>',
        '<dl class="facts">'
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in _facts(result)
        )
        + "</dl>",
        _section(
            "Objectives",
            _table(
                ["objective", "measured", ""],
                [
                    [escape(each.name), escape(each.measured), _verdict(each.met, "met", "missed")]
                    for each in objectives
                ],
            ),
        ),
        _section(
            "Answers",
            _figures(
                ["phase", "reads", "p50", "p99", "slowest", "sources"],
                [
                    [escape(name), *map(escape, shown(summary(answers)))]
                    for name, answers in phases(result).items()
                ],
            ),
        ),
    ]
    if plan.user:
        rows = [[escape(name), *map(escape, cells)] for name, cells in sign_ins(result).items()]
        parts.append(_section("Sign-ins", _figures(["phase", "sign-ins", "slowest", "answers"], rows)))
    parts += [
        _section("How long each answer took, by its source", _plot(plots.latencies(result))),
        _section("Answers per second, by their source", _plot(plots.rates(result))),
        _section("State of the breakers", _plot(plots.states(result))),
        f'<p class="quiet">Read: {", ".join(f"<code>{escape(path)}</code>" for path in plan.paths)}</p>',
    ]
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Drill: {names}</title><style>{_STYLE}</style>\n<main>\n"
        + "\n".join(parts)
        + "\n</main></html>\n"
    )


def _about(result: Result) -> str:
    plan = result.plan
    what = f"fault “{plan.kind}” for {plan.seconds:g} s"
    if plan.kind in faults.REAL:
        what += " on the real server"
    else:
        what += f" on {100 * plan.share:g} % of the calls"
    if plan.kind in ("latency", "flap"):
        what += f", {plan.delay:g} s each"
    return f"{_iso(result)} · {what} · {plan.rate:g} reads per second of {plan.url} · {_versions()}"


def _facts(result: Result) -> list[tuple[str, str]]:
    """Return what one wants to know first."""
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
    """Return the answers by when they were asked for: before, during and after the fault."""
    begin, end = result.fault
    return {
        "before": [each for each in result.answers if each.at < begin],
        "during": [each for each in result.answers if begin <= each.at < end],
        "after": [each for each in result.answers if each.at >= end],
    }


def sign_ins(result: Result) -> dict[str, list[str]]:
    """Return, by phase, how many sign-ins there were, the slowest, and how they were answered."""
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


def _section(title: str, body: str) -> str:
    return f'<section><h2>{escape(title)}</h2><div class="wide">{body}</div></section>'


def _plot(svg: str) -> str:
    return f'<div class="plot">{svg}</div>'


def _verdict(good: bool, yes: str, no: str, also: str = "") -> str:
    return f'<span class="{also}{"met" if good else "missed"}">{yes if good else no}</span>'


def _figures(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f'<div class="figures">{_table(head, rows)}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def _iso(result: Result) -> str:
    return datetime.fromtimestamp(result.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _versions() -> str:
    return f"Python {platform.python_version()}, Django {django.get_version()}"
