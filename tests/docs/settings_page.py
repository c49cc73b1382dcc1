"""The tables of `docs/settings.md`, made from the code that reads the settings."""

import ast
import inspect
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from django.utils.module_loading import import_string

from resilience import defaults
from resilience.conf import BESIDE, AlertConfig, ChoreConfig
from resilience.primitives import BreakerConfig, BulkheadConfig
from tests.docs.blocks import ROOT

PAGE = ROOT / "docs" / "settings.md"
# All below it is made anew by `make settings-page`.
MARK = "<!-- Made by `make settings-page` from resilience/defaults.py and what stands below the fields. -->\n"
SECTIONS = ("BREAKERS", "BULKHEADS", "DEADLINES", "CHORES", "ALERTS")


def made() -> str:
    """Return the page as it ought to be: what people wrote, then the tables."""
    written, _, _ = PAGE.read_text().partition(MARK)
    return written + MARK + tables()


def tables() -> str:
    """Return all tables of `RESILIENCE`."""
    top = {
        name: (f"see [below](#{name.lower()})" if name in SECTIONS else shown(value.default), value.says)
        for name, value in defaults.SETTINGS.items()
    }
    chores = {
        name: (chore.every, chore.limit, first_sentence(chore.run))
        for name, chore in ((name, ChoreConfig(name=name, **said)) for name, said in defaults.CHORES.items())
    }
    return "\n".join(
        [
            table(("key", "default", "meaning"), ((f"`{name}`", *row) for name, row in top.items())),
            "### BREAKERS\n",
            fields_of(BreakerConfig, beside=BESIDE),
            usual(defaults.BREAKERS, without=BESIDE),
            "### BULKHEADS\n",
            fields_of(BulkheadConfig),
            usual(defaults.BULKHEADS),
            "### DEADLINES\n",
            table(
                ("name", "seconds", "meaning"),
                ((f"`{name}`", shown(each.default), each.says) for name, each in defaults.DEADLINES.items()),
            ),
            "### CHORES\n",
            fields_of(ChoreConfig, without=["name"]),
            table(
                ("usual", "every", "limit", "what it does"),
                (
                    (f"`{name}`", shown(every), shown(limit), says)
                    for name, (every, limit, says) in chores.items()
                ),
            ),
            "### ALERTS\n",
            fields_of(AlertConfig),
        ]
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table and an empty line."""
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fields_of(
    config: type[Any], *, beside: Mapping[str, str] | None = None, without: Iterable[str] = ()
) -> str:
    """Return the table of a config's fields; their meaning is the text below each in the code."""
    says = below_the_fields(config)
    rows = [
        (
            f"`{each.name}`",
            "must be given" if each.default is MISSING else shown(each.default),
            says[each.name],
        )
        for each in fields(config)
        if each.name not in without
    ]
    rows += [(f"`{name}`", "none", text) for name, text in (beside or {}).items()]
    return table(("field", "default", "meaning"), rows)


def usual(entries: Mapping[str, Mapping[str, Any]], *, without: Iterable[str] = ()) -> str:
    """Return what the usual entries of a section say, one to a row."""
    columns = list(dict.fromkeys(key for entry in entries.values() for key in entry if key not in without))
    rows = ((f"`{name}`", *(shown(entry[key]) for key in columns)) for name, entry in entries.items())
    return table(("usual", *(f"`{key}`" for key in columns)), rows)


def below_the_fields(config: type[Any]) -> dict[str, str]:
    """Return the text below each field of a class."""
    (body,) = [
        node.body for node in ast.parse(inspect.getsource(config)).body if isinstance(node, ast.ClassDef)
    ]
    found = {}
    for field, text in itertools.pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=says)):
                found[name] = inspect.cleandoc(str(says)).replace("\n", " ")
    return found


def first_sentence(path: str) -> str:
    """Return the first line of what a dotted path names."""
    return str(inspect.getdoc(import_string(path))).splitlines()[0]


def shown(value: object) -> str:
    """Return a default as the page shows it."""
    if value in ("", None, [], {}):
        return "none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"`{value}`"
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"
