"""A server that is broken for half a minute before one's eyes: `make demo`."""
