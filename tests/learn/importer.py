"""Runs `import_catalogue` as a person does, on files that a test writes."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import NamedTuple

from django.core.management import CommandError, call_command

from learn.models import Category, Field


class Ended(NamedTuple):
    """How the command ended: its status, and all that it said."""

    status: int
    said: str


def run(*arguments: str | Path) -> Ended:
    out = StringIO()
    try:
        call_command("import_catalogue", *map(str, arguments), stdout=out, stderr=out)
    except CommandError as error:
        return Ended(error.returncode, f"{out.getvalue()}{error}")
    return Ended(0, out.getvalue())


def write(directory: Path, content: str | bytes, name: str = "courses.csv") -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def make_field(title: str = "Physics", category: str = "Science") -> Field:
    parent, _ = Category.objects.get_or_create(title=category)
    field: Field = Field.objects.create(title=title, category=parent)
    return field
