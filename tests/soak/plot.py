"""The run as an SVG: answers, memory and file descriptors over time; faults shaded, deaths marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from html import escape

from tests.soak.run import Soak
from tests.soak.watch import Process

_WIDTH, _PANEL, _GAP = 1000, 180, 56
_LEFT, _RIGHT = 70, 20
# Answers are summed over so many seconds.
_BIN = 5
_SOURCES = {
    "live": "#1a7f37",
    "cached": "#2563eb",
    "static": "#d97706",
    "no answer": "#111827",
}
_OTHER = "#b42318"
_FAULTS = {"database": "#b42318", "cache": "#7c3aed", "database, cache": "#374151"}
_PROCESSES = {"supervisor, server": "#2563eb", "the spared worker": "#1a7f37", "other workers": "#9ca3af"}


def draw(soak: Soak) -> str:
    """Return the whole picture."""
    panels = [
        _answers(soak),
        _processes(soak, "resident memory, MB", lambda each: each.rss / 1024),
        _processes(soak, "open file descriptors", lambda each: float(each.descriptors)),
    ]
    height = len(panels) * (_PANEL + _GAP) + _GAP
    body = [f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>', *_keys(_FAULTS, 14, "broken: ")]
    for number, panel in enumerate(panels):
        body.append(f'<g transform="translate(0 {_GAP + number * (_PANEL + _GAP)})">')
        body += [*_shades(soak), *panel, *_times(soak), "</g>"]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="11">\n' + "\n".join(body) + "\n</svg>\n"
    )


def _answers(soak: Soak) -> list[str]:
    bins: dict[int, Counter[str]] = {}
    for answer in soak.answers:
        bins.setdefault(int(answer.at // _BIN), Counter())[answer.source] += 1
    top = max((found.total() for found in bins.values()), default=1)
    marks = _scale(f"reads in {_BIN} s, by source of the answer; ticks: a worker killed", top)
    for number, found in sorted(bins.items()):
        below = 0
        for source, count in sorted(found.items()):
            high, low = _y((below + count) / top), _y(below / top)
            left, right = _x(soak, number * _BIN), _x(soak, min((number + 1) * _BIN, soak.length))
            colour = _SOURCES.get(source, _OTHER)
            marks.append(
                f'<rect x="{left}" y="{high}" width="{max(0.5, right - left - 0.3):.1f}" '
                f'height="{low - high:.1f}" fill="{colour}"/>'
            )
            below += count
    marks += [f'<path d="M{_x(soak, at)} {_PANEL}v8" stroke="#111827"/>' for at in soak.kills]
    return [*marks, *_keys({**_SOURCES, "other": _OTHER}, -22)]


def _processes(soak: Soak, title: str, value: Callable[[Process], float]) -> list[str]:
    lines: dict[int, list[tuple[float, float]]] = {}
    for sample in soak.samples:
        for each in (*sample.masters, *sample.workers):
            lines.setdefault(each.pid, []).append((sample.at, value(each)))
    top = max((y for points in lines.values() for _, y in points), default=1.0)
    names = {each.pid: "supervisor, server" for each in (soak.samples[0].masters if soak.samples else ())}
    names[soak.witness] = "the spared worker"
    marks = _scale(title, top)
    for pid, points in lines.items():
        colour = _PROCESSES[names.get(pid, "other workers")]
        path = " ".join(f"{_x(soak, at)},{_y(y / top)}" for at, y in points)
        marks.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
    return [*marks, *_keys(_PROCESSES, -22)]


def _shades(soak: Soak) -> Iterable[str]:
    for begun, ended, fault in soak.faults:
        yield (
            f'<rect x="{_x(soak, begun)}" y="0" width="{_x(soak, ended) - _x(soak, begun):.1f}" '
            f'height="{_PANEL}" fill="{_FAULTS[", ".join(fault.victims)]}" fill-opacity=".13">'
            f"<title>{escape(str(fault))}</title></rect>"
        )


def _scale(title: str, top: float) -> list[str]:
    marks = [f'<text x="{_WIDTH - _RIGHT}" y="-12" text-anchor="end">{escape(title)}</text>']
    for part in (0.0, 0.5, 1.0):
        y = _y(part)
        marks.append(f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        marks.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{part * top:.3g}</text>')
    return marks


def _times(soak: Soak) -> Iterable[str]:
    steps = (10, 30, 60, 120, 300, 600, 1800)
    step = next((each for each in steps if soak.length / each <= 12), 3600)
    for at in range(0, int(soak.length) + 1, step):
        yield f'<text x="{_x(soak, at)}" y="{_PANEL + 22}" text-anchor="middle">{at} s</text>'


def _keys(colours: dict[str, str], y: int, before: str = "") -> list[str]:
    marks = []
    for number, (name, colour) in enumerate(colours.items()):
        x = _LEFT + 130 * number
        marks.append(f'<rect x="{x}" y="{y}" width="10" height="10" fill="{colour}"/>')
        marks.append(f'<text x="{x + 14}" y="{y + 9}">{escape(before + name)}</text>')
    return marks


def _x(soak: Soak, at: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * at / (soak.length or 1.0), 1)


def _y(part: float) -> float:
    return round(_PANEL * (1 - part), 1)
