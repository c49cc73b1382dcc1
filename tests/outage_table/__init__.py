"""A minute of mixed reads with an outage in the middle, for each outage: `make outage-table`."""
