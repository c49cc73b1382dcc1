"""What people look at: health, metrics, history, folders, and the log."""
