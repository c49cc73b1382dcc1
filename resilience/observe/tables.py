"""Format rows as columns for a terminal; the commands print them so."""

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines with aligned cells. The first row has all columns."""
    widths = [max(len(row[n]) for row in rows if n < len(row)) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    )
