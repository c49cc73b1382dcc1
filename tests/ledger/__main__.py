"""`make ledger`: PostgreSQL killed, frozen, not heard; exits 1 if a write was lost, doubled or lied about."""

import argparse
import sys

from benchmarks.tables import table
from tests.ledger.storm import run


def main() -> None:
    """Run the storm and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--freezes", type=int, default=10)
    parser.add_argument("--mutes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ledger, wrong = run(
        kills=options.kills,
        freezes=options.freezes,
        mutes=options.mutes,
        seed=options.seed,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    rows = [
        ("kills, freezes, lost answers", f"{options.kills}, {options.freezes}, {options.mutes}"),
        ("acknowledged", len(ledger.stored)),
        ("of these unknown at first, settled by a repeat", len(ledger.settled)),
        ("repeats that found the first answer stored", ledger.replayed),
        ("said not to be stored", len(ledger.not_stored)),
        ("slowest answer", f"{ledger.slowest:.2f} s"),
        ("answers", ", ".join(f"{word}: {count}" for word, count in sorted(ledger.answers.items()))),
        ("contradictions", len(wrong)),
    ]
    print(table(("what", "figure"), [(name, str(value)) for name, value in rows]))
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
