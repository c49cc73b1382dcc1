"""Which rows a block reads and writes, as its statements say: whichever way they were made.

The router hears of one model for each query. A join reads more, and a query with an alias of its own
(`using`) asks no router. So the statements themselves are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connections

from resilience.conf.databases import STATIC_ALIAS

# Words that are no column of something: those come after a dot.
_WORD = re.compile(r"""(?<![.\w"`])["`]?(\w+)""")
_WRITES = re.compile(
    r"""(?:\s|/\*.*?\*/|--[^\n]*\n|\()*
    (?:insert|update|delete|merge|replace|truncate|copy
    |with\b.*\b(?:insert\s+into|update|delete\s+from|merge\s+into)
    |select\b.*\bfor\s+(?:no\s+key\s+)?update)\b""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


@dataclass(slots=True)
class Touched:
    """Hold the models whose rows were read or written, and the first statement that writes."""

    models: set[type[Any]] = field(default_factory=set)
    write: str = ""  # its first words; "" if there was none


@contextmanager
def noting_rows() -> Iterator[Touched]:
    """Note within the block what this thread asks of its databases, save for the static copy."""
    touched = Touched()
    of_table = {
        model._meta.db_table: model._meta.concrete_model or model
        for model in apps.get_models(include_auto_created=True)
    }

    def note(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        said = str(sql)
        touched.models.update(of_table[word] for word in _WORD.findall(said) if word in of_table)
        if not touched.write and _WRITES.match(said):
            touched.write = " ".join(said.split()[:3])
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in connections.settings:
            if alias != STATIC_ALIAS:
                stack.enter_context(connections[alias].execute_wrapper(note))
        yield touched
