"""A figure that a document quotes is one that stands in the table it links to.

A quotation is a link to a page of `benchmarks/results` with the figure in its text. Its title names the row
of the table, by as many of its cells as that takes, and last the column:

    it costs [4.1 times](benchmarks/results/http.md "list · this app, fresh · times bare") as much
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.__main__ import ROOT
from benchmarks.tables import Table, figure, read, table

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_LINK = re.compile(r'\[([^][]*)\]\(((?:\.\./)*benchmarks/results/[\w-]+\.md)(?:#[\w-]*)?(?:\s+"([^"]*)")?\)')
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")


class Quote(NamedTuple):
    document: Path
    text: str
    page: Path
    title: str


def quotes(document: Path, text: str) -> list[Quote]:
    """Return the links to results that have a number in their text."""
    return [
        Quote(document, text, (document.parent / page).resolve(), " ".join(title.split()))
        for text, page, title in _LINK.findall(text)
        if _NUMBER.search(text)
    ]


def is_right(text: str, title: str, tables: list[Table]) -> bool:
    """Tell whether the figure stands in the cell that the title names, or is that figure rounded."""
    *row, column = title.split(" · ")
    (quoted,) = _NUMBER.findall(text)
    decimals = len(quoted.partition(".")[2])
    cells = [
        cells[each.heads.index(column)]
        for each in tables
        if column in each.heads
        for cells in each.rows
        if set(row) <= set(cells)
    ]
    if len(cells) != 1:
        raise ValueError(f"{title!r} names {len(cells)} cells")
    return round(figure(cells[0]).value, decimals) == float(quoted.replace(",", ""))


class TestDocuments:
    def test_quote_what_stands_in_the_tables(self) -> None:
        found = [quote for document in DOCUMENTS for quote in quotes(document, document.read_text())]
        wrong = [
            f"{quote.document.name}: {quote.text!r} is not {quote.title!r} of {quote.page.name}"
            for quote in found
            if not is_right(quote.text, quote.title, read(quote.page.read_text()))
        ]
        assert wrong == []


class TestQuoting:
    TABLES = [
        table(
            ("request", "site", "times bare"),
            [("list", "fresh", "4.13 (3.4 to 4.4)"), ("304", "fresh", "11.3")],
        ),
        table(("ledger", "figure"), [("acknowledged", "1,147")]),
    ]

    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ("4.13 times", "list · fresh · times bare"),
            ("about 4 times", "list · fresh · times bare"),
            ("1,147 writes", "acknowledged · figure"),
        ],
    )
    def test_takes_a_figure_exact_or_rounded(self, text: str, title: str) -> None:
        assert is_right(text, title, self.TABLES)

    @pytest.mark.parametrize("text", ["4.2 times", "3 times", "4.4 times", "11.3 times"])
    def test_refuses_another_figure(self, text: str) -> None:
        assert not is_right(text, "list · fresh · times bare", self.TABLES)

    @pytest.mark.parametrize(
        "title", ["", "fresh · times bare", "entry · fresh · times bare", "list · fresh · µs"]
    )
    def test_refuses_a_title_that_names_no_single_cell(self, title: str) -> None:
        with pytest.raises(ValueError, match="cells"):
            is_right("4.13", title, self.TABLES)

    def test_is_any_link_to_results_with_a_figure(self) -> None:
        text = (
            "[the tables](benchmarks/results) [a page](benchmarks/results/http.md)\n"
            '[4.1 times](benchmarks/results/http.md "list · times bare") [3](benchmarks/results/http.md)'
        )
        found = quotes(ROOT / "README.md", text)
        assert [(quote.text, quote.title) for quote in found] == [
            ("4.1 times", "list · times bare"),
            ("3", ""),
        ]
