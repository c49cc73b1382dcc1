"""Draw figures as SVG files that stand alone and read well on light and on dark pages.

They bring their own paper, whose colour follows the reader's scheme. Series differ by shape too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass

from benchmarks.tables import Figure
from resilience.drills.svg import element, hint, text

OTHERS = 5  # The quiet series: those beside whom we are measured.

_WIDTH = 820
_EDGE = 18  # Paper left free on each side, in pixels.
_ROW = 24
_APART = 8  # Marks of one row, and of one place of a line, each have a way of their own.
_LIGHT = ("#fff", "#1f2328", "#59636e", "#e4e8ec")
_DARK = ("#15191f", "#e6edf3", "#9aa4ae", "#2d343c")
_SERIES = ("#0a5fb4", "#c2410c", "#117a4f", "#7b3fb3", "#8a6d00", "#7d8590")
_SERIES_DARK = ("#6cb6ff", "#ff9d6b", "#56d39a", "#c9a2ff", "#e3c44a", "#8b949e")
_SHAPES: tuple[Callable[[float, float], str], ...] = (
    lambda x, y: f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>',
    lambda x, y: f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"/>',
    lambda x, y: f'<path d="M{x:.1f} {y - 6:.1f}l5.5 10h-11z"/>',
    lambda x, y: f'<path d="M{x:.1f} {y - 6.5:.1f}l6.5 6.5l-6.5 6.5l-6.5-6.5z"/>',
    lambda x, y: f'<path d="M{x:.1f} {y + 6:.1f}l5.5-10h-11z"/>',
    lambda x, y: f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a panel: figures by the number of their series."""

    label: str
    figures: Mapping[int, Figure]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Rows under a heading; all panels of a plot share the axis."""

    heading: str
    rows: Sequence[Row]


def dots(title: str, axis: str, panels: Sequence[Panel], legend: Mapping[int, str], *, log: bool) -> str:
    """Draw each figure as a mark on one horizontal axis, its spread as a bar through the mark."""
    rows = [row for panel in panels for row in panel.rows]
    left = _EDGE + max(map(_text_width, (row.label for row in rows))) + 12
    marked = [figure for row in rows for figure in row.figures.values()]
    right = _WIDTH - _EDGE - max(_text_width(_number(figure.value)) for figure in marked) - 14
    scale = _Scale.over(marked, left, right, log=log)
    y = top = 74.0 if legend else 50.0
    parts: list[str] = []
    for panel in panels:
        if panel.heading:
            parts.append(text(_EDGE, y + 16, panel.heading, class_="strong"))
            y += 26
        for row in panel.rows:
            height = _ROW + _APART * (len(row.figures) - 1)
            middle = y + height / 2
            parts.append(element("line", x1=left, x2=right, y1=middle, y2=middle, class_="grid"))
            parts.append(text(left - 12, middle + 4, row.label, text_anchor="end"))
            for number, (series, figure) in enumerate(row.figures.items()):
                parts.append(_dot(scale, series, figure, middle + _aside(number, row.figures), row.label))
            if len(row.figures) == 1:
                (figure,) = row.figures.values()
                beside = scale(figure.high) + 11
                parts.append(text(beside, middle + 4, _number(figure.value), class_="value"))
            y += height
        y += 8
    ticks = [
        element("line", x1=x, x2=x, y1=top, y2=y, class_="grid" if tick else "zero")
        + text(x, y + 18, _number(tick), text_anchor="middle", class_="quiet")
        for tick, x in ((tick, scale(tick)) for tick in scale.ticks)
    ]
    axis_label = text((left + right) / 2, y + 40, axis, text_anchor="middle")
    return _paper(title, y + 56, [*ticks, *parts, axis_label, *_keys(legend)])


def lines(
    title: str, axes: tuple[str, str], series: Mapping[str, Mapping[float, Figure]], *, log: tuple[bool, bool]
) -> str:
    """Draw each series as a line with marks over one axis, its spread as a bar through the mark."""
    left, right, top, bottom = 100.0, _WIDTH - _EDGE - 30.0, 80.0, 400.0
    places = {x for points in series.values() for x in points}
    across = _Scale.over([Figure(x, x, x) for x in places], left, right, log=log[0])
    up = _Scale.over(
        [each for points in series.values() for each in points.values()], bottom, top, log=log[1]
    )
    parts = [
        element("line", x1=left - 20, x2=right + 20, y1=y, y2=y, class_="grid")
        + text(left - 30, y + 4, _number(tick), text_anchor="end", class_="quiet")
        for tick, y in ((tick, up(tick)) for tick in up.ticks)
    ]
    for x in sorted(places):
        parts.append(element("line", x1=across(x), x2=across(x), y1=top, y2=bottom, class_="grid"))
        parts.append(text(across(x), bottom + 18, _number(x), text_anchor="middle", class_="quiet"))
    for number, (name, points) in enumerate(series.items()):
        aside = _aside(number, series)
        path = " ".join(f"{across(x) + aside:.1f},{up(each.value):.1f}" for x, each in sorted(points.items()))
        parts.append(f'<polyline points="{path}" class="line s{number}"/>')
        for x, each in points.items():
            place = across(x) + aside
            bar = f"M{place:.1f} {up(each.low):.1f}V{up(each.high):.1f}"
            parts.append(_mark(number, place, up(each.value), bar, f"{name}, {_number(x)}: {each.value:g}"))
    upright = f"translate({_EDGE + 8} {(top + bottom) / 2}) rotate(-90)"
    parts += [
        text((left + right) / 2, bottom + 42, axes[0], text_anchor="middle"),
        text(0, 0, axes[1], transform=upright, text_anchor="middle"),
    ]
    return _paper(title, bottom + 58, [*parts, *_keys(dict(enumerate(series)))])


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """From values to pixels, by even steps or by even factors; `ticks` lie at round values."""

    ticks: Sequence[float]
    start: float
    end: float
    log: bool

    @classmethod
    def over(cls, figures: Iterable[Figure], start: float, end: float, *, log: bool) -> _Scale:
        # A difference of two noisy times may fall below zero: on an axis of factors it lies at the edge.
        ends = [end for each in figures for end in each if end > 0 or not log]
        low, high = min(ends), max(ends)
        ticks = _factors(low, high) if log else _steps(min(low, 0.0), max(high, 0.0))
        return cls(ticks=ticks, start=start, end=end, log=log)

    def __call__(self, value: float) -> float:
        first, last, here = (
            math.log(max(each, self.ticks[0])) if self.log else each
            for each in (self.ticks[0], self.ticks[-1], value)
        )
        return self.start + (self.end - self.start) * (here - first) / ((last - first) or 1.0)


def _factors(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10 … around the values; over more than three decades the powers of ten alone."""
    rounds = (1, 10) if high / low > 1_500 else (1, 2, 5, 10)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    grid = sorted({each * 10.0**power for power in powers for each in rounds})
    below, above = max(each for each in grid if each <= low), min(each for each in grid if each >= high)
    return [each for each in grid if below <= each <= above]


def _steps(low: float, high: float) -> list[float]:
    rough = (high - low or 1.0) / 7
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    return [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _aside(number: int, all_of_them: Sized) -> float:
    """Return by how many pixels one of several marks of one place lies aside of it."""
    return _APART * (number - (len(all_of_them) - 1) / 2)


def _dot(scale: _Scale, series: int, figure: Figure, y: float, label: str) -> str:
    bar = f"M{scale(figure.low):.1f} {y}H{scale(figure.high):.1f}"
    return _mark(series, scale(figure.value), y, bar, f"{label}: {figure.value:g}")


def _mark(series: int, x: float, y: float, bar: str, what: str) -> str:
    inside = element("path", d=bar, class_="bar") + _SHAPES[series](x, y) + hint(what)
    return element("g", inside, class_=f"s{series}")


def _keys(legend: Mapping[int, str]) -> list[str]:
    marks, x = [], _EDGE + 6.0
    for series, name in legend.items():
        marks.append(element("g", _SHAPES[series](x, 52), class_=f"s{series}") + text(x + 12, 56, name))
        x += _text_width(name) + 40
    return marks


def _paper(title: str, height: float, marks: Iterable[str]) -> str:
    body = "\n".join(marks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'height="{height:.0f}" role="img">\n{hint(title)}\n<style>\n'
        f"text {{ font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }}\n"
        ".strong { font-weight: 600 } .title { font-size: 16px; font-weight: 600 } "
        ".quiet, .value { font-size: 12px }\n"
        ".grid, .zero { stroke-width: 1 } .line { fill: none !important; stroke-width: 2 } "
        ".bar { stroke-width: 5; stroke-opacity: .4 }\n"
        f"{_scheme(_LIGHT, _SERIES)}\n"
        f"@media (prefers-color-scheme: dark) {{\n{_scheme(_DARK, _SERIES_DARK)}\n}}\n</style>\n"
        f'<rect width="100%" height="100%" rx="8" class="paper"/>\n'
        f"{text(_EDGE, 30, title, class_='title')}\n{body}\n</svg>\n"
    )


def _scheme(tones: Sequence[str], series: Sequence[str]) -> str:
    paper, ink, quiet, grid = tones
    rules = [f".paper {{ fill: {paper} }} text {{ fill: {ink} }} .quiet {{ fill: {quiet} }}"]
    rules += [f".grid {{ stroke: {grid} }} .zero {{ stroke: {quiet} }}"]
    rules += [f".s{number} {{ fill: {each}; stroke: {each} }}" for number, each in enumerate(series)]
    return "\n".join(rules)


def _number(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _text_width(text: str) -> float:
    """Return about how many pixels a text takes: nobody here can ask a font."""
    return sum(4.5 if letter in " ,.:;'ijlftr1" else 8.0 for letter in text)
