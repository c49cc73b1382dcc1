"""Which column of a file holds which value of a course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from learn.importing.errors import UnreadableError

COLUMNS = (
    "category",
    "field",
    "code",
    "title",
    "summary",
    "description",
    "level",
    "language",
    "duration_hours",
    "credits",
    "provider",
    "url",
    "terms",
)
# An export has these columns, too, so that drafts stay drafts and addresses stay the same.
EXPORTED_ONLY = ("slug", "published")
KNOWN = (*COLUMNS, *EXPORTED_ONLY)
REQUIRED = ("title", "field")
# What a course can do without. The others say which course a row is, where it belongs and who sees it.
OPTIONAL = frozenset(
    ("summary", "description", "level", "language", "duration_hours", "credits", "url", "terms")
)

Value = str | list[str] | None
"""A text, unchanged from the file, or a list of texts (JSON only); None for anything else."""


class Row(NamedTuple):
    """One row of the file: the line where it begins, and its values by canonical column."""

    line: int
    values: dict[str, Value]


def normalised(name: str) -> str:
    """Return a column's name in the form that is compared: "Duration hours" becomes `duration_hours`."""
    return "_".join(name.strip().casefold().split())


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The names that the user gives for a file's columns.

    `columns` names the columns of a file without a header. `renamed` maps a canonical column to the file's
    column that holds it. `constants` are values for every row, whatever the file says.
    Raises UnreadableError if a name is not canonical.
    """

    columns: tuple[str, ...] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for option, names in (("--map", self.renamed), ("--set", self.constants)):
            for name in names:
                if name not in KNOWN:
                    raise UnreadableError(
                        f"{option}: a course has no column '{name}'. Its columns: {', '.join(COLUMNS)}."
                    )

    def source(self, name: str) -> str:
        """Return the normalised name of the file's column that holds the canonical column `name`."""
        return normalised(self.renamed.get(name, name))

    def bind(self, names: Sequence[str]) -> tuple[dict[str, int], list[str]]:
        """Return the place of each canonical column among the file's `names`, and the names not used.

        Raises UnreadableError if a required or mapped column is missing, or one that is used appears twice.
        """
        found: dict[str, int] = {}
        twice: set[str] = set()
        for place, name in enumerate(map(normalised, names)):
            if name in found:
                twice.add(name)
            elif name:
                found[name] = place
        for name, column in self.renamed.items():
            if normalised(column) not in found:
                raise UnreadableError(
                    f"--map {name}={column}: the file has no column '{column}'. It has: {listed(names)}."
                )
        places = {name: found[self.source(name)] for name in KNOWN if self.source(name) in found}
        for name in REQUIRED:
            if name not in places and name not in self.constants:
                raise UnreadableError(
                    f"The file has no column '{name}'. It has: {listed(names)}. "
                    f"Name it with --map {name}=COLUMN, or give all rows one value with --set {name}=VALUE."
                )
        for name in places:
            if self.source(name) in twice and name not in self.constants:
                raise UnreadableError(
                    f"The column '{self.source(name)}' appears twice in the header. Name the columns "
                    "yourself with --columns, or give all rows one value with --set."
                )
        used = set(places.values())
        return places, [name.strip() for place, name in enumerate(names) if place not in used]


def listed(names: Sequence[str], most: int = 30) -> str:
    """Return names for a message, the first `most` of them."""
    shown = ", ".join(name.strip()[:60] for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
