"""`make bench`: measure one thing after the other; each leaves a page and its plots in `benchmarks/results`.

    make bench [ONLY=http,engine] [ROUNDS=3]
    python -m benchmarks [--only http,engine] [--rounds 3] [--draw]

A page says by which command, when, where and with which versions it came about. A benchmark that fails leaves
the page of its last success.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks.suite import BENCHMARKS, Benchmark
from benchmarks.tables import read
from tests.servers.binaries import NoServerError, postgres_bin, redis_program
from tests.servers.nginx import PROGRAM as NGINX

RESULTS = Path(__file__).resolve().parent / "results"
ROOT = RESULTS.parents[1]
PROGRAMS: dict[str, tuple[str, str, Callable[[], str | Path]]] = {
    "postgres": ("PostgreSQL", "--version", lambda: postgres_bin() / "postgres"),
    "redis-server": ("Redis", "--version", redis_program),
    "nginx": ("nginx", "-v", lambda: NGINX or "nginx"),
}
NAMES = {each.name: each for each in BENCHMARKS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, and return 1 if any of it failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", type=_names, help=f"some of {', '.join(NAMES)}, separated by commas")
    parser.add_argument("--rounds", type=int, help="instead of each benchmark's own number")
    parser.add_argument("--draw", action="store_true", help="draw the plots of the pages there are, and stop")
    options = parser.parse_args(arguments)
    chosen = options.only or [each for each in BENCHMARKS if each.target == "bench"]
    failed = []
    for number, benchmark in enumerate(chosen, 1):
        _tell(f"[{number}/{len(chosen)}] {benchmark.name}: {benchmark.title} …")
        if not options.draw and not _measure(benchmark, options.rounds):
            failed.append(benchmark.name)
            _tell(f"[{number}/{len(chosen)}] {benchmark.name} failed; its page is left as it was")
            continue
        if not page(benchmark).exists():
            _tell(f"[{number}/{len(chosen)}] {benchmark.name} has no page yet: it was not measured")
            continue
        for path in draw(benchmark):
            _tell(f"    {path.name}")
    return bool(failed)


def draw(benchmark: Benchmark) -> list[Path]:
    """Draw the plots of a page's tables, and return their paths."""
    tables = read(page(benchmark).read_text())
    paths = []
    for plot in benchmark.drawn:
        path = RESULTS / f"{benchmark.name}{plot.suffix}.svg"
        path.write_text(plot.draw(tables))
        paths.append(path)
    return paths


def page(benchmark: Benchmark) -> Path:
    """Return where a benchmark's page lies."""
    return RESULTS / f"{benchmark.name}.md"


def _measure(benchmark: Benchmark, rounds: int | None) -> bool:
    arguments = [f"--rounds={rounds}"] if rounds and benchmark.takes_rounds else []
    load = os.getloadavg()[0]
    started, clock = datetime.now(UTC), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", benchmark.module, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        return False
    took = time.monotonic() - clock
    asked = f" ONLY={benchmark.name}" if benchmark.target == "bench" else ""
    asked += f" ROUNDS={rounds}" if arguments else ""
    parts = [
        f"# {benchmark.title}",
        f"Command: `make {benchmark.target}{asked}`, {started:%Y-%m-%d %H:%M} UTC, {took:.0f} s.  \n"
        f"Versions: {', '.join(_version(name) for name in ('Python', *benchmark.versions))}.  \n"
        f"Machine: {platform.system()} {platform.release().split('-')[0]}, {os.cpu_count()} processors "
        f"({_processor()}); load average before the run {load:.1f}.",
        *(f"![{plot.title}]({benchmark.name}{plot.suffix}.svg)" for plot in benchmark.drawn),
        done.stdout.strip(),
    ]
    page(benchmark).write_text("\n\n".join(parts) + "\n")
    _tell(f"    {page(benchmark).name}, {took:.0f} s")
    return True


def _names(text: str) -> list[Benchmark]:
    names = text.split(",")
    if unknown := set(names) - set(NAMES):
        raise argparse.ArgumentTypeError(
            f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
        )
    return [NAMES[name] for name in names]


def _version(name: str) -> str:
    """Return the name and version of a package or of a server's program."""
    if name == "Python":
        return f"Python {platform.python_version()}"
    if name not in PROGRAMS:
        return f"{name} {metadata.version(name)}"
    label, option, find = PROGRAMS[name]
    try:
        said = subprocess.run([find(), option], capture_output=True, text=True, check=True)
    except (NoServerError, FileNotFoundError):
        return f"no {label}"
    found = re.search(r"\d+\.\d+(\.\d+)?", said.stdout + said.stderr)
    return f"{label} {found.group() if found else 'of unknown version'}"


def _processor() -> str:
    try:
        information = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*: (.*)$", information, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
