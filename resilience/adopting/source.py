"""Find places in a project's own files by their syntax trees, and edit the text there.

Nothing is rewritten: an edit inserts text, or replaces one quoted word. So comments and layout stay.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


class NoPlaceError(Exception):
    """There is no place in the file where a line can be added by itself; the message says why."""


class Edit(NamedTuple):
    """Replace the characters from `start` to `end` by `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Source:
    """One Python file. Raises `OSError`, `UnicodeError` and `SyntaxError` when it is made of none."""

    path: Path
    text: str
    encoding: str = "utf-8"

    @classmethod
    def read(cls, path: Path) -> Source:
        """Read a file in the encoding that it names, with the ends of lines that it has."""
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return cls(path, content.decode(encoding), encoding)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def edited(self, edits: Sequence[Edit]) -> str:
        """Return the text with these edits; those at one place come in their order."""
        text, ends = self.text, "\r\n" if "\r\n" in self.text else "\n"
        in_order = sorted(enumerate(edits), key=lambda one: (one[1].start, one[0]))
        for _, edit in reversed(in_order):
            new = edit.text.replace("\r\n", "\n").replace("\n", ends).replace('"', self._quote)
            text = text[: edit.start] + new + text[edit.end :]
        return text

    def names(self, constant: str) -> bool:
        """Tell whether this text stands somewhere in the code, as a text of its own."""
        return any(isinstance(node, ast.Constant) and node.value == constant for node in ast.walk(self.tree))

    def sets(self, name: str) -> bool:
        """Tell whether a module of this code would have this name set by it."""
        return bool(self._assigned(name, ast.walk(self.tree)))

    def puts_before(self, name: str) -> bool:
        """Tell whether the code inserts something into this list."""
        return any(
            isinstance(node, ast.Call) and ast.unparse(node.func) == f"{name}.insert"
            for node in ast.walk(self.tree)
        )

    # --- Places ---

    def in_list(self, name: str, elements: Sequence[str], *, first: bool = False) -> list[Edit]:
        """Return edits that add elements, as code, to the list `name`: at its end, or `first`."""
        value = self._literal(name, self._value(name), first=first)
        present = {ast.unparse(each) for each in value.elts}
        if any(ast.unparse(ast.parse(each, mode="eval")) in present for each in elements):
            raise NoPlaceError(
                f"it is there (line {value.lineno}), but not in force: something replaces {name}"
            )
        if not value.elts:
            end = "," if isinstance(value, ast.Tuple) else ""
            return [self._insert(self._start(value) + 1, ", ".join(elements) + end)]
        one_by_line = value.elts[0].lineno > value.lineno
        indent = self.text[self._line(value.elts[0].lineno) : self._start(value.elts[0])]
        lines = "".join(f"{indent}{each},\n" for each in elements)
        if first:
            if one_by_line:
                # Below the opening bracket, so that a comment of the first element stays above that.
                return [self._insert(self._line(value.lineno + 1), lines)]
            return [self._insert(self._start(value.elts[0]), "".join(f"{each}, " for each in elements))]
        last = self._end(value.elts[-1])
        if one_by_line and value.elts[-1].end_lineno != value.end_lineno:
            # A comment may stand between the last element and the bracket.
            at = self._line(value.end_lineno or 0)
            comma = [] if self._has_comma(self.text[last:at]) else [self._insert(last, ",")]
            return [*comma, self._insert(at, lines)]
        return [self._insert(last, "".join(f", {each}" for each in elements))]

    def of_entry(self, name: str, *keys: str) -> ast.expr:
        """Return the value at `name[key][key]…`. Raises `NoPlaceError` where that is computed."""
        value = self._value(name)
        shown = name
        for key in keys:
            found = entry(value, key)
            if found is None:
                raise NoPlaceError(f"{shown} is computed, or has no {key!r} (line {value.lineno})")
            value, shown = found, f"{shown}[{key!r}]"
        return value

    def instead_of(self, value: ast.expr, text: str) -> Edit:
        """Return an edit that puts other code in the place of a quoted word."""
        if not isinstance(value, ast.Constant) or value.end_lineno != value.lineno:
            raise NoPlaceError(f"it is computed (line {value.lineno})")
        return Edit(self._start(value), self._end(value), text)

    def in_dict(self, value: ast.expr, item: str) -> Edit:
        """Return an edit that adds an item, as code, at the beginning of a dict."""
        if not isinstance(value, ast.Dict):
            raise NoPlaceError(f"it is computed (line {value.lineno})")
        at = self._start(value) + 1
        return self._insert(at, f"{item}, " if value.keys else item)

    def before_call(self, function: str, argument: str, line: str) -> Edit:
        """Return an edit that puts a line before the statement that calls `function` with this text first."""
        for node in self.tree.body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                call = node.value
                known = (
                    call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == argument
                )
                if known and ast.unparse(call.func) == function:
                    return self._insert(self._line(node.lineno), f"{line}\n")
        raise NoPlaceError(f"no line of its own calls {function}({argument!r}, …)")

    def imported(self, module: str, name: str) -> Edit | None:
        """Return an edit that imports `name` where something is imported from `module`; None if it is."""
        found = [
            node for node in self.tree.body if isinstance(node, ast.ImportFrom) and node.module == module
        ]
        if any(alias.name == name and alias.asname is None for node in found for alias in node.names):
            return None
        if not found or found[0].names[0].name == "*":
            raise NoPlaceError(f"nothing is imported from {module}")
        return self._insert(self._at(found[0].names[0].lineno, found[0].names[0].col_offset), f"{name}, ")

    def at_end(self, lines: str) -> Edit:
        """Return an edit that adds lines at the end of the file."""
        end = len(self.text)
        return Edit(end, end, ("" if self.text.endswith("\n") or not self.text else "\n") + lines)

    # --- How they are found ---

    def _literal(self, name: str, value: ast.expr, *, first: bool) -> ast.List | ast.Tuple:
        """Return the list itself in which something has to be added: of a sum, the first or the last one."""
        match value:
            case ast.List() | ast.Tuple() if self.text[self._start(value)] in "[(":
                return value
            case ast.Name(id=other) if self.sets(other):
                return self._literal(other, self._value(other), first=first)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                try:
                    return self._literal(name, left if first else right, first=first)
                except NoPlaceError:
                    if first:
                        raise
                    return self._literal(name, left, first=first)
        raise NoPlaceError(f"{name} is computed (line {value.lineno})")

    @cached_property
    def _quote(self) -> str:
        """The kind of quotation mark that most texts of the file have."""
        texts = [node for node in ast.walk(self.tree) if isinstance(node, ast.Constant) and node.value]
        marks = [self.text[self._start(node)] for node in texts if isinstance(node.value, str)]
        return "'" if marks.count("'") > marks.count('"') else '"'

    def _value(self, name: str) -> ast.expr:
        """Return what `name` is set to, by one statement of the module itself."""
        everywhere = self._assigned(name, ast.walk(self.tree))
        at_top = self._assigned(name, self.tree.body)
        if not everywhere:
            raise NoPlaceError(f"no line here sets {name}")
        if len(everywhere) > 1 or not at_top:
            lines = ", ".join(str(value.lineno) for value in everywhere)
            raise NoPlaceError(f"{name} is set under a condition, or more than once (line {lines})")
        return at_top[0]

    @staticmethod
    def _assigned(name: str, nodes: Iterator[ast.AST] | Sequence[ast.AST]) -> list[ast.expr]:
        found = []
        for node in nodes:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign):
                targets = [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                value = node.value  # type: ignore[attr-defined]  # both kinds have one
                found += [value] if value is not None else []
        return found

    @staticmethod
    def _has_comma(between: str) -> bool:
        """Tell whether a comma stands there, and not within a comment."""
        tokens = tokenize.generate_tokens(io.StringIO(between.lstrip("\n")).readline)
        try:
            return any(token.string == "," for token in tokens)
        except (tokenize.TokenError, IndentationError):
            return False

    def _start(self, node: ast.expr) -> int:
        return self._at(node.lineno, node.col_offset)

    def _end(self, node: ast.expr) -> int:
        return self._at(node.end_lineno or 0, node.end_col_offset or 0)

    def _at(self, line: int, column: int) -> int:
        """Return the offset of a place; its column counts bytes, as in a syntax tree."""
        begin = self._line(line)
        return begin + len(self.text[begin:].partition("\n")[0].encode()[:column].decode())

    def _line(self, number: int) -> int:
        """Return the offset of a line's beginning."""
        return sum(len(line) for line in self._lines[: number - 1])

    @cached_property
    def _lines(self) -> list[str]:
        return io.StringIO(self.text, newline="").readlines()

    @staticmethod
    def _insert(at: int, text: str) -> Edit:
        return Edit(at, at, text)


def entry(value: ast.expr, key: str) -> ast.expr | None:
    """Return the value of a key in a dict's code; None if there is none, or that cannot be told."""
    if not isinstance(value, ast.Dict):
        return None
    for name, found in zip(value.keys, value.values, strict=True):
        if isinstance(name, ast.Constant) and name.value == key:
            return found
    return None
