"""The sites that `benchmarks.http` compares: settings of the peers, and a callable that only sends bytes."""
