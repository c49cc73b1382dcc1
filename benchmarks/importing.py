"""Seconds and peak memory of `import_catalogue`, for a file and for one ten times as long.

    python -m benchmarks.importing [--rows 1500 15000] [--postgresql]

Each run is a process of its own, as a person starts it; its memory is what the system says it held at most.
The database is empty before each file: first all rows are created, then nothing changes, then each row does.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
WORDS = (
    "light",
    "motion",
    "cells",
    "Zahlen",
    "história",
    "språk",
    "ενέργεια",
    "право",
    "数学",
    "الأدب",
    "theory",
)
FIELDS = 60


class Measured(NamedTuple):
    """One run: its duration and its processor time in seconds, its peak memory in MiB."""

    seconds: float
    processor: float
    mebibytes: float


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_500, 15_000])
    parser.add_argument("--postgresql", action="store_true", help="beside SQLite")
    options = parser.parse_args()
    print("| database | format | rows | file, MB | create | again, nothing changes | all rows change |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as directory, ExitStack() as servers:
        urls = {"SQLite": f"sqlite:///{directory}/catalogue.db"}
        if options.postgresql:
            urls["PostgreSQL"] = servers.enter_context(PostgresServer()).url
        for database, url in urls.items():
            for suffix in ("csv", "json"):
                for count in options.rows:
                    _compare(database, url, Path(directory), suffix, count)


def _compare(database: str, url: str, directory: Path, suffix: str, count: int) -> None:
    if url.startswith("sqlite"):
        (directory / "catalogue.db").unlink(missing_ok=True)
    _manage(url, "migrate", "-v0")
    _manage(url, "flush", "--no-input", "-v0")
    before, after = directory / f"before.{suffix}", directory / f"after.{suffix}"
    for path, edition in ((before, 1), (after, 2)):
        _write(path, count, edition)
    created = _import(url, before, f"{count} created, 0 updated, 0 unchanged, 0 rejected")
    again = _import(url, before, f"0 created, 0 updated, {count} unchanged, 0 rejected")
    changed = _import(url, after, f"0 created, {count} updated, 0 unchanged, 0 rejected")
    figures = " | ".join(
        f"{run.seconds:.1f} s ({run.processor:.1f} s CPU), {run.mebibytes:.0f} MiB"
        for run in (created, again, changed)
    )
    size = before.stat().st_size / 1e6
    print(f"| {database} | {suffix} | {count:,} | {size:.1f} | {figures} |", flush=True)


def _import(url: str, path: Path, expected: str) -> Measured:
    measured, said = _manage(url, "import_catalogue", str(path), "--create-parents")
    assert expected in said, said
    return measured


def _manage(url: str, *arguments: str) -> tuple[Measured, str]:
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", *arguments],
        env={**os.environ, "DATABASE_URL": url, "DEBUG": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    processor = usage.ru_utime + usage.ru_stime
    return Measured(time.perf_counter() - start, processor, usage.ru_maxrss / 1024), said


def _rows(count: int, edition: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)  # noqa: S311 (the same rows each time)
    for number in range(count):
        text = " ".join(chance.choices(WORDS, k=80))
        yield {
            "category": f"Category {number % FIELDS % 7}",
            "field": f"Field {number % FIELDS}",
            "code": f"C-{number}",
            "title": _title(number, chance),
            "summary": text[:120],
            "description": f"Edition {edition}.\n{text}",
            "level": ("introductory", "advanced")[number % 2],
            "language": ("en", "de", "ja")[number % 3],
            "duration_hours": str(number % 90),
            "credits": f"{number % 12 / 2}",
            "provider": "University of Somewhere",
            "url": f"https://example.org/courses/{number}",
            "terms": "2025-autumn|2026-spring",
        }


def _title(number: int, chance: random.Random) -> str:
    """One in five is shared with others, as in the college's catalogue in `fixtures/`."""
    if number % 5 == 0:
        return f"Independent study {chance.randrange(100)}"
    return " ".join(chance.choices(WORDS, k=6))


def _write(path: Path, count: int, edition: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, next(_rows(1, edition)))
            writer.writeheader()
            writer.writerows(_rows(count, edition))
        else:
            file.write("[\n")
            file.writelines(
                ("," if number else "") + json.dumps(row, ensure_ascii=False) + "\n"
                for number, row in enumerate(_rows(count, edition))
            )
            file.write("]\n")


if __name__ == "__main__":
    main()
