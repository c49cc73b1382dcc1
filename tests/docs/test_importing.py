"""What docs/importing.md shows of three sources is what the command does with their files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from learn.models import Course
from tests.docs.blocks import text
from tests.learn.importer import run, write

PAGE = text("docs/importing.md")
SOURCES = re.findall(
    r"^### (.+?)\n.*?^```(?:json|csv)\n(.*?)^```\n\n```console\n\$ (.*?[^\\])\n(.*?)^```$",
    PAGE,
    re.DOTALL | re.MULTILINE,
)


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "content", "command", "shown"), SOURCES, ids=[each[0] for each in SOURCES])
def test_a_source_is_read_as_shown(tmp_path: Path, name: str, content: str, command: str, shown: str) -> None:
    program, manage, import_catalogue, file, *options = shlex.split(command.replace("\\\n", ""))
    assert (program, manage, import_catalogue) == (".venv/bin/python", "manage.py", "import_catalogue")
    path = write(tmp_path, content, file)
    ended = run(path, *options)
    assert ended.status == 0
    assert ended.said == shown
    assert "0 created, 0 updated, 2 unchanged, 0 rejected." in run(path, *options).said


@pytest.mark.django_db
def test_what_they_hold_arrives(tmp_path: Path) -> None:
    for _, content, command, _ in SOURCES:
        _, _, _, file, *options = shlex.split(command.replace("\\\n", ""))
        run(write(tmp_path, content, file), *options)
    courses = {course.code: course for course in Course.objects.all()}
    assert courses["CS2030"].terms == ["1", "2"]
    assert courses["CS2030"].field.category.title == "Computing"
    assert courses["course-v1:ExampleX+Astro1+2026"].duration_hours == 36
    assert courses["course-v1:ExampleX+Bio2+2026"].duration_hours is None
    assert courses["10001"].title == "Licence - Économie; gestion"
    assert len(courses) == 2 * len(SOURCES) == 6
