"""A benchmark for the runner's tests: says one table, and fails when told to by `TWO_FIGURES_FAIL`."""

import os
import sys

from benchmarks.tables import table

rows = [("ours", "1.5 (1.0 to 2.0)"), ("theirs", "3.0 (2.5 to 9.0)")]
sys.stdout.write(f"Two figures.\n\n{table(('what', 'µs'), rows)}\n")
sys.exit(int(os.environ.get("TWO_FIGURES_FAIL", "0")))
