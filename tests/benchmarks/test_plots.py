"""A plot shows each figure where it belongs, and is an image that stands alone."""

import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks import plots
from benchmarks.tables import Figure

SVG = "{http://www.w3.org/2000/svg}"


def dots(*values: float, log: bool = False) -> ET.Element:
    rows = [
        plots.Row(label=f"row <{number}>", figures={0: Figure(value, value / 2, value * 2)})
        for number, value in enumerate(values)
    ]
    text = plots.dots("Title & more", "µs", [plots.Panel(heading="", rows=rows)], {0: "us"}, log=log)
    return ET.fromstring(text)  # noqa: S314 - drawn a line above


def marks(svg: ET.Element, shape: str = "circle") -> list[tuple[float, float]]:
    """Return where the marks lie that have a hint: those of the key have none."""
    groups = [group for group in svg.iter(f"{SVG}g") if group.find(f"{SVG}title") is not None]
    found = [group.find(f"{SVG}{shape}") for group in groups]
    return [(float(mark.attrib["cx"]), float(mark.attrib["cy"])) for mark in found if mark is not None]


class TestDots:
    def test_lie_along_an_even_axis(self) -> None:
        (first, _), (second, _), (third, _) = marks(dots(10, 20, 40))
        assert third - second == pytest.approx(2 * (second - first), abs=0.3)

    def test_lie_along_an_axis_of_factors(self) -> None:
        (first, _), (second, _), (third, _) = marks(dots(1, 10, 100, log=True))
        assert third - second == pytest.approx(second - first, abs=0.3)

    def test_have_their_spread_through_them(self) -> None:
        svg = dots(10, 40)
        bars = [path.attrib["d"] for path in svg.iter(f"{SVG}path") if path.get("class") == "bar"]
        for (x, y), bar in zip(marks(svg), bars, strict=True):
            found = re.fullmatch(r"M([\d.]+) ([\d.]+)H([\d.]+)", bar)
            assert found is not None
            low, middle, high = map(float, found.groups())
            assert low < x < high
            assert middle == pytest.approx(y, abs=0.1)

    def test_stay_on_the_paper(self) -> None:
        svg = dots(0.001, 90_000, log=True)
        assert all(0 < x < float(svg.attrib["width"]) for x, _ in marks(svg))

    def test_lie_at_the_edge_where_factors_know_no_place(self) -> None:
        (lowest, _), (below, _), _ = marks(dots(1, -2, 50, log=True))
        assert below <= lowest

    def test_say_what_they_are(self) -> None:
        texts = [element.text for element in dots(10, 20).iter(f"{SVG}text")]
        assert {"Title & more", "µs", "us", "row <0>", "row <1>"} <= set(texts)

    def test_take_figures_below_zero(self) -> None:
        (first, _), (second, _) = marks(dots(-2, 2))
        assert first < second


class TestLines:
    def test_run_through_their_figures(self) -> None:
        points = {1_000.0: Figure(5, 4, 6), 10_000.0: Figure(5, 4, 6), 100_000.0: Figure(50, 40, 60)}
        svg = ET.fromstring(plots.lines("Title", ("courses", "ms"), {"list": points}, log=(True, False)))  # noqa: S314
        (line,) = svg.iter(f"{SVG}polyline")
        drawn = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert drawn == [pytest.approx(mark, abs=0.1) for mark in marks(svg)]
        (x1, y1), (x2, y2), (x3, y3) = drawn
        assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
        assert y1 == y2 > y3  # more is higher


class TestPaper:
    def test_follows_the_scheme_of_the_reader(self) -> None:
        (style,) = dots(1).iter(f"{SVG}style")
        light, dark = (style.text or "").split("@media (prefers-color-scheme: dark)")
        for name in ("paper", "s0", "s5", "grid"):
            assert re.findall(rf"\.{name} {{.*?}}", light)
            assert re.findall(rf"\.{name} {{.*?}}", light)[-1] not in dark

    def test_asks_for_nothing_from_elsewhere(self) -> None:
        assert not re.search(r"href|url\(|@import|<script", ET.tostring(dots(1, 2), "unicode"))
