"""Steady load for many minutes while dependencies break at random and workers are killed: `make soak`."""
