"""What other apps may listen to."""

from django.dispatch import Signal

alert = Signal()
"""Sent for each alert, in a thread of its own: `alert`, a `resilience.observe.alerts.Alert`.

The sender is the process that holds the steward's lease; after a take-over an alert may come twice.
"""
