"""`make soak`: twenty minutes of load, faults and killed workers; exits 1 if a promise was broken."""

import argparse
import os
import platform
import sys
from pathlib import Path

from tests.servers.site import ROOT
from tests.soak import plot
from tests.soak.plan import draw
from tests.soak.run import run
from tests.soak.verdict import judge


def main() -> None:
    """Run, tell how it stands on standard error, draw the plot, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=10.0, help="reads a second")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None, help="by default a new one, which is printed")
    parser.add_argument(
        "--open-for", default="", help="open interval of all breakers; production's unless set"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    seed = int.from_bytes(os.urandom(3)) if options.seed is None else options.seed
    plan = draw(seed, seconds=60 * options.minutes, rate=options.rate, workers=options.workers)
    _tell(f"seed {seed}: {len(plan.faults)} faults, {len(plan.kills)} deaths in {plan.seconds:.0f} s")
    soak = run(plan, open_for=options.open_for, step=5.0, tell=_tell)
    objectives = judge(soak)
    how = f"--minutes {options.minutes:g} --rate {options.rate:g} --workers {options.workers} --seed {seed}"
    how += f" --open-for {options.open_for}" if options.open_for else ""
    lines = [
        f"`python -m tests.soak {how}`: {options.workers} workers, {len(soak.faults)} faults, "
        f"{len(soak.kills)} workers killed, {soak.length:.0f} s; Python {platform.python_version()}, "
        f"{os.cpu_count()} processors shared with other work.",
        "",
        "| promise | measured | |",
        "| --- | --- | --- |",
        *(f"| {each.name} | {each.measured} | {'met' if each.met else 'BROKEN'} |" for each in objectives),
        "",
        "![answers, memory and descriptors](soak.svg)",
    ]
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "soak.svg").write_text(plot.draw(soak))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(not all(each.met for each in objectives))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
