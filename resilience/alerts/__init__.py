"""Alerts and error reports, which reach people by mail and webhook without their having to look."""
