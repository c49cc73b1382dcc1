"""The three plots of a report, as SVG, over one axis of time. The time of the fault is shaded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from resilience.drills.run import Result
from resilience.drills.svg import element, hint, text

_WIDTH, _HEIGHT = 900, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 10, 46, 24
_ROW = 26

# The colour-blind can tell these colours apart too (after Okabe and Ito), on light and on dark.
_COLOURS = {"live": "#009e73", "cached": "#56b4e9", "static": "#e69f00", "mock": "#cc79a7", "none": "#8a94a0"}
_FAILED = "#d5341f"
_STATES = {"CLOSED": "#009e73", "HALF_OPEN": "#e69f00", "OPEN": "#d5341f"}


def latencies(result: Result) -> str:
    """Plot the time of each answer, on a scale that the slowest fits into."""
    top = _round(max((answer.seconds for answer in result.answers), default=0.0) or 1.0)
    dots = [
        _dot(_x(result, each.at), _y(each.seconds / top), _colour(each.source)) for each in result.answers
    ]
    return _plot(result, _HEIGHT, [*_scale(top, "s"), *dots, *_legend(e.source for e in result.answers)])


def rates(result: Result) -> str:
    """Plot the number of answers in each second, as bars stacked by source."""
    seconds: dict[int, Counter[str]] = {}
    for answer in result.answers:
        seconds.setdefault(int(answer.at), Counter())[answer.source] += 1
    top = _round(max((found.total() for found in seconds.values()), default=1))
    bars = []
    for second, found in seconds.items():
        below = 0
        for source, count in sorted(found.items(), key=lambda item: _rank(item[0])):
            low, high = _y(below / top), _y((below + count) / top)
            begin, end = _x(result, second), _x(result, min(second + 1, result.length)) - 1
            what = f"{second} s: {source} {count}"
            bars.append(_bar(begin, high, end - begin, low - high, _colour(source), what))
            below += count
    return _plot(result, _HEIGHT, [*_scale(top, ""), *bars, *_legend(e.source for e in result.answers)])


def states(result: Result) -> str:
    """Plot each breaker's state as a band."""
    names = list(dict.fromkeys(name for _, name, _ in result.states))
    marks = []
    for row, name in enumerate(names):
        y = _TOP + row * _ROW
        marks.append(text(_LEFT - 6, y + 14, name, text_anchor="end"))
        changes = [(at, state) for at, which, state in result.states if which == name]
        ends = [at for at, _ in changes[1:]] + [result.length]
        for (at, state), end in zip(changes, ends, strict=True):
            begin, width = _x(result, at), _x(result, end) - _x(result, at)
            what = f"{state} from {at:.1f} s to {end:.1f} s"
            marks.append(_bar(begin, y, width, _ROW - 6, _STATES.get(state, _FAILED), what))
    return _plot(result, _TOP + len(names) * _ROW + _BOTTOM, [*marks, *_keys(_STATES)])


def _plot(result: Result, height: int, marks: Iterable[str]) -> str:
    begin, end = (_x(result, at) for at in result.fault)
    bottom = height - _BOTTOM
    kind = result.plan.kind
    shade = element("g", _bar(begin, _TOP, end - begin, bottom - _TOP, _FAILED, ""), fill_opacity=0.1)
    shade += text((begin + end) / 2, _TOP - 8, kind, text_anchor="middle")
    step = next(each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500, 5_000) if result.length / each <= 12)
    times = [
        text(_x(result, at), height - 8, f"{at} s", text_anchor="middle")
        for at in range(0, int(result.length) + 1, step)
    ]
    body = "\n".join([shade, *marks, *times])
    return element("svg", body, viewBox=f"0 0 {_WIDTH} {height}", role="img")


def _dot(x: float, y: float, colour: str) -> str:
    return element("circle", cx=x, cy=y, r=2.5, fill=colour, fill_opacity=0.75)


def _bar(x: float, y: float, width: float, height: float, colour: str, what: str) -> str:
    return element("rect", hint(what), x=x, y=y, width=max(1.0, width), height=height, fill=colour)


def _scale(top: float, unit: str) -> list[str]:
    marks = []
    for part in (0.0, 0.5, 1.0):
        y = _y(part)
        marks.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y))
        marks.append(text(_LEFT - 6, y + 4, f"{part * top:.3g} {unit}".strip(), text_anchor="end"))
    return marks


def _legend(sources: Iterable[str]) -> list[str]:
    return _keys({source: _colour(source) for source in sorted(set(sources), key=_rank)})


def _keys(colours: dict[str, str]) -> list[str]:
    marks = []
    x = _LEFT
    for name, colour in colours.items():
        marks.append(element("rect", x=x, y=6, width=10, height=10, rx=2, fill=colour))
        marks.append(text(x + 15, 15, name))
        x += 45 + 7 * len(name)
    return marks


def _round(top: float) -> float:
    """Return the next round number, whose half is easy to read too."""
    size = 10.0 ** math.floor(math.log10(top))
    return next(part * size for part in (1, 2, 3, 4, 6, 8, 10) if part * size >= top * 0.999)


def _rank(source: str) -> tuple[int, str]:
    """Return a key that sorts sources in the order in which tiers are tried, others last."""
    return (list(_COLOURS).index(source) if source in _COLOURS else len(_COLOURS), source)


def _x(result: Result, at: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * at / (result.length or 1.0)


def _y(part: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - part)


def _colour(source: str) -> str:
    return _COLOURS.get(source, _FAILED)
