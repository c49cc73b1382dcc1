"""Run a storm and print what came of it: `python -m tests.chaos --deaths 1000`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.chaos.journal import Kind
from tests.chaos.storm import Report, Storm
from tests.chaos.verdict import Verdict


def table(report: Report, verdict: Verdict, seed: int) -> str:
    """Return the summary as Markdown."""
    strikes = verdict.strikes
    dead_holding = strikes[Kind.DIES, True]
    lines = [
        f"Seed {seed}: {report.deaths} workers killed ({dead_holding} of them while they held the lock), "
        f"{report.stops} stopped ({strikes[Kind.STOPS, True]} while they held it), "
        f"{strikes[Kind.RAISES, True] + strikes[Kind.RAISES, False]} exceptions at random lines, "
        f"at {len(verdict.places)} places of the code, in {report.seconds:.0f} s.",
        f"{len(verdict.calls)} calls, {len(verdict.eras)} states; {verdict.late_probes} probes were stopped "
        "after admission and called when their permit had lapsed.",
        "",
        "| promise | looked at | worst | broken |",
        "| --- | ---: | ---: | ---: |",
    ]
    for promise in verdict.promises:
        worst = "" if promise.worst is None else f"{promise.worst:.3f}"
        lines.append(f"| {promise.text} | {promise.looked_at} | {worst} | {len(promise.broken)} |")
    closed = "never" if report.closed_after is None else f"{report.closed_after:.3f}"
    recovered = report.closed_after is not None and report.all_working
    lines.append(f"| it always recovers (seconds until closed) | 1 | {closed} | {int(not recovered)} |")
    lines.append(f"| nobody hangs | {report.deaths + 1} | | {report.hung} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deaths", type=int, default=1000, help="end after so many killed workers")
    parser.add_argument("--seconds", type=float, default=600.0, help="end after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep the journal and the store in this new folder")
    parser.add_argument("--json", action="store_true", help="print one object instead of a table")
    arguments = parser.parse_args()
    # In memory, as the host store is: a disk that is busy stops everybody who writes to it.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="chaos-", dir=memory) as folder:
        path = arguments.keep or Path(folder)
        path.mkdir(mode=0o700, exist_ok=True)
        report = Storm(path, deaths=arguments.deaths, seconds=arguments.seconds, seed=arguments.seed).run()
        verdict = Verdict(path / "journal")
    broken = [f"{promise.text}: {what}" for promise in verdict.promises for what in promise.broken]
    if report.closed_after is None or not report.all_working:
        broken.append(f"it did not recover: {report}")
    if report.hung:
        broken.append(f"{report.hung} workers hung")
    if arguments.json:
        looked_at = {promise.text: promise.looked_at for promise in verdict.promises}
        text = json.dumps({"broken": broken, "deaths": report.deaths, "looked_at": looked_at})
    else:
        text = "\n".join(
            [table(report, verdict, arguments.seed), "", *(f"BROKEN {line}" for line in broken[:20])]
        )
    sys.stdout.write(text + "\n")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
