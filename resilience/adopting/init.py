"""`python -m resilience init`: print the lines that a project has to add, or add them."""

from __future__ import annotations

import difflib
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from pathlib import Path

from resilience.adopting.lacking import remarks, steps
from resilience.adopting.project import NotFoundError, Project, find
from resilience.adopting.source import Source
from resilience.adopting.step import Step

_NEXT = """Then:
  python manage.py check
  python manage.py migrate
  python manage.py resilience try /an/address    shows what an outage of the database brings there
"""


def main(arguments: Sequence[str]) -> int:
    """Run `init`; return the exit status: 0 done, 2 no project here, or its settings cannot be imported."""
    parser = ArgumentParser(prog="python -m resilience")
    init = parser.add_subparsers(dest="command", required=True).add_parser(
        "init", help="print the lines that this project has to add, each with its reason"
    )
    init.add_argument("--write", action="store_true", help="add them, after a diff, where no comment is lost")
    options = parser.parse_args(arguments)
    try:
        project = find(Path.cwd())
        lacking = steps(project)
    except NotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    out = sys.stdout
    if not lacking:
        out.write("Nothing to add: this project has all lines that it needs.\n")
    elif options.write:
        try:
            _write(project, lacking)
        except OSError as error:
            sys.stderr.write(f"Not all could be written: {error}\n")
            return 2
    else:
        for source in _files(lacking):
            out.write(f"{_shown(project, source.path)}\n")
            for step in (one for one in lacking if one.source == source):
                out.write(_told(step))
    out.writelines(f"Note: {remark}\n" for remark in remarks(project))
    if lacking:
        out.write(_NEXT)
    return 0


def _write(project: Project, lacking: Sequence[Step]) -> None:
    out = sys.stdout
    for source in _files(lacking):
        edits = [edit for step in lacking if step.source == source for edit in step.edits]
        edits = list(dict.fromkeys(edits))  # two lines may need the same import
        if not edits:
            continue
        after = source.edited(edits)
        compile(after, source.path, "exec")  # what is written can be loaded
        name = _shown(project, source.path)
        out.writelines(
            line if line.endswith("\n") else f"{line}\n"
            for line in difflib.unified_diff(
                source.text.splitlines(keepends=True), after.splitlines(keepends=True), name, name
            )
        )
        _replace(source.path, after.encode(source.encoding))
    if by_hand := [step for step in lacking if not step.edits]:
        out.write("By hand:\n")
        for step in by_hand:
            out.write(f"{_shown(project, step.source.path)}\n{_told(step)}")


def _replace(path: Path, content: bytes) -> None:
    """Write a file beside, then put it in the place of this one, with its mode."""
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.chmod(path.stat().st_mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _told(step: Step) -> str:
    lines = "".join(f"      {line}\n" for line in step.lines.splitlines())
    why_not = f"    by hand: {step.why_not}\n" if step.why_not else ""
    return f"  {step.where}:\n{lines}    why: {step.reason}\n{why_not}"


def _files(lacking: Iterable[Step]) -> list[Source]:
    return list(dict.fromkeys(step.source for step in lacking))


def _shown(project: Project, path: Path) -> str:
    return str(path.relative_to(project.folder)) if path.is_relative_to(project.folder) else str(path)
