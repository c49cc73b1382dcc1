"""What a `resilient` view shows to one client is shown to no other: `make leaks`."""
