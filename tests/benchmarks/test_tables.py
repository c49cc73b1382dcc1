"""Tables are read as they were written."""

import pytest

from benchmarks.tables import Figure, figure, read, spread, table


class TestFigure:
    @pytest.mark.parametrize(
        ("cell", "read"),
        [
            ("1.10 (1.05 to 1.31)", Figure(1.10, 1.05, 1.31)),
            ("+2.2 (-0.7 to +4.9)", Figure(2.2, -0.7, 4.9)),
            ("12,760", Figure(12760, 12760, 12760)),
            ("99.5 %", Figure(99.5, 99.5, 99.5)),
            ("0.53 s", Figure(0.53, 0.53, 0.53)),
        ],
    )
    def test_is_read_with_its_spread(self, cell: str, read: Figure) -> None:
        assert figure(cell) == read

    @pytest.mark.parametrize("cell", ["", "-", "list", "3rd", "cached: 398"])
    def test_is_not_found_in_words(self, cell: str) -> None:
        with pytest.raises(ValueError, match="no figure"):
            figure(cell)

    def test_is_the_median_of_what_was_measured(self) -> None:
        assert spread([3.0, 1.0, 2.5]) == "2.5 (1.0 to 3.0)"
        assert figure(spread([3.0, 1.0, 2.5])) == Figure(2.5, 1.0, 3.0)


class TestTable:
    def test_is_read_as_it_was_written(self) -> None:
        written = [
            table(("site", "µs"), [("this app, fresh", "4.1 (3.4 to 4.4)"), ("plain", "76")]),
            table(("what", "figure"), [("answers", "503: 4, 201: 9"), ("slowest", "2.02 s")]),
        ]
        assert read("text\n\n" + "\n\nmore text | with a bar\n".join(map(str, written))) == written

    def test_has_its_figures_to_the_right(self) -> None:
        shown = str(table(("site", "µs"), [("this app", "4.1"), ("plain", "76")]))
        assert shown.splitlines()[1] == "| --- | ---: |"

    def test_names_the_columns_there_are(self) -> None:
        with pytest.raises(ValueError, match="no column 'ms'; there are site, µs"):
            table(("site", "µs"), []).column("ms")
