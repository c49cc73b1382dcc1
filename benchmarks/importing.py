"""Seconds and peak memory of `import_catalogue`, for a file and for one ten times as long.

    python -m benchmarks.importing [--rows 1500 15000] [--rounds 3]

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
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tables import spread, table
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
EDITIONS = {  # What is imported in turn, and what the command must say of it.
    "create": (1, "{count} created, 0 updated, 0 unchanged, 0 rejected"),
    "again, nothing changes": (1, "0 created, 0 updated, {count} unchanged, 0 rejected"),
    "all rows change": (2, "0 created, {count} updated, 0 unchanged, 0 rejected"),
}


class Measured(NamedTuple):
    """One run: its duration and its processor time in seconds, its peak memory in MiB."""

    seconds: float
    processor: float
    mebibytes: float


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_500, 15_000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    runs = [name for each in EDITIONS for name in (f"{each}, s", f"{each}, CPU s", f"{each}, MiB")]
    rows = []
    with tempfile.TemporaryDirectory() as directory, PostgresServer() as postgres:
        urls = {"SQLite": f"sqlite:///{directory}/catalogue.db", "PostgreSQL": postgres.url}
        for database, url in urls.items():
            for suffix in ("csv", "json"):
                for count in options.rows:
                    name = f"{database}, {suffix}, {count:,} rows"
                    print(name, file=sys.stderr, flush=True)
                    size, measured = _measure(url, Path(directory), suffix, count, options.rounds)
                    rows.append((database, suffix, f"{count:,}", f"{size / 1e6:.1f}", *measured))
    print(f"{options.rounds} rounds, each from an empty database: median (lowest to highest).\n")
    print(table(("database", "format", "rows", "file, MB", *runs), rows))


def _measure(url: str, directory: Path, suffix: str, count: int, rounds: int) -> tuple[int, list[str]]:
    """Return the size of the file in bytes, and the cells of each edition's seconds and memory."""
    paths = {edition: directory / f"{edition}.{suffix}" for edition in (1, 2)}
    for edition, path in paths.items():
        _write(path, count, edition)
    found: dict[str, list[Measured]] = {name: [] for name in EDITIONS}
    for _ in range(rounds):
        if url.startswith("sqlite"):
            (directory / "catalogue.db").unlink(missing_ok=True)
        _manage(url, "migrate", "-v0")
        _manage(url, "flush", "--no-input", "-v0")
        for name, (edition, expected) in EDITIONS.items():
            found[name].append(_import(url, paths[edition], expected.format(count=count)))
    cells = []
    for measured in found.values():
        cells += [
            spread([run.seconds for run in measured]),
            spread([run.processor for run in measured]),
            spread([run.mebibytes for run in measured], ".0f"),
        ]
    return paths[1].stat().st_size, cells


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
