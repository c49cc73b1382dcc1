"""What other apps may listen to."""

from django.dispatch import Signal

table_lock = Signal()
"""Sent when reads of a table stop or resume waiting for its lock: `breaker`, `table`, `locked` (bool), and
`seconds`, for how long nobody waited.

The sender is the process whose read made the difference.
"""

alert = Signal()
"""Sent for each alert, in a thread of its own: `alert`, a `resilience.alerts.rules.Alert`.

The sender is the process that holds the steward's lease; after a take-over an alert may come twice.
"""
