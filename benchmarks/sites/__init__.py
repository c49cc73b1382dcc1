"""What `benchmarks.http` and `benchmarks.crowd` compare: peers' settings, and a callable that sends bytes."""
