"""The store in each order of the steps of its processes: see `__main__`."""
