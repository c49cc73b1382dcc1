"""What a crowd gets of a healthy site, and in an outage.

    python -m benchmarks.crowd [--only clients,big] [--rounds 3] [--seconds 8] [--outages 10]

Each site has two workers. Clients ask for lists that nobody asked for before, each again as soon as it is
answered. In a round each site is asked in turn, in the reverse order every other time; what is slow, is slow
in the database, for all of them.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks.crowd.asgi import asgi
from benchmarks.crowd.figures import Machine
from benchmarks.crowd.healthy import big, capacity, clients
from benchmarks.crowd.inside import inside
from benchmarks.crowd.outages import outages
from benchmarks.crowd.plan import Plan, tell
from benchmarks.crowd.sites import field
from benchmarks.crowd.weight import weight

PARTS = {
    "weight": ("What a worker weighs", weight),
    "clients": ("Crowds of usual sizes", clients),
    "big": ("A crowd of 128", big),
    "capacity": ("The largest crowd without a stand-in, and twice as many", capacity),
    "inside": ("Within a crowd of 48", inside),
    "connections": ("Connections under ASGI", asgi),
    "outages": ("PostgreSQL fails in a crowd of 32", outages),
}


def main() -> None:
    """Print a table for each part that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", type=_names, default=list(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of load, for each site and round")
    parser.add_argument("--outages", type=int, default=5, help="how often PostgreSQL is frozen, and killed")
    options = parser.parse_args()
    plan = Plan(options.rounds, options.seconds, options.outages)
    began = time.monotonic()
    with field() as found:
        machine = Machine()
        print(
            f"{plan.rounds} rounds of {plan.seconds:.0f} s. Each site has two workers, plain ones "
            "16 threads in each. A query of the courses sleeps as long as the first column says. Figures are "
            "of all rounds together, in brackets from the lowest to the highest round.\n"
        )
        for name in options.only:
            title, part = PARTS[name]
            tell(f"{name}: {title}")
            print(f"## {title}\n\n{part(found, plan)}\n", flush=True)
        opened = found.ours.openings()
        print(f"Breakers of the healthy site opened {len(opened)} times. {machine.says()}")
        for each in opened:
            tell(each)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


def _names(text: str) -> list[str]:
    if unknown := set(text.split(",")) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return text.split(",")


if __name__ == "__main__":
    main()
