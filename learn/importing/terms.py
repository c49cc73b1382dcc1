"""Writes the terms of a course into one cell of a table, and reads them back."""

from __future__ import annotations

import json

_SEPARATOR = "|"


def joined(terms: list[str]) -> str:
    """Return the terms as one cell: `2025-autumn|2026-spring`, or a JSON list if that is ambiguous."""
    cell = _SEPARATOR.join(terms)
    return cell if separated(cell) == terms else json.dumps(terms, ensure_ascii=False)


def separated(cell: str) -> list[str]:
    """Return the terms of a cell."""
    if cell.startswith("["):
        try:
            terms = json.loads(cell)
        except (ValueError, RecursionError):
            terms = None
        if isinstance(terms, list) and all(isinstance(term, str) for term in terms):
            return terms
    return [term.strip() for term in cell.split(_SEPARATOR) if term.strip()]
