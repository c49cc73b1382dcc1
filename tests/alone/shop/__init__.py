"""A project that knows nothing of ours, and has the app from its wheel."""
