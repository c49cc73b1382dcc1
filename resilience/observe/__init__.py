"""What is visible: the journal of events, the history made of it, and alerts."""
