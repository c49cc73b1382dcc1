"""Signals that other apps may listen to."""

from django.dispatch import Signal

table_lock = Signal()
"""Sent when reads of a table begin to be refused because another client has locked it, and when that ends.

Arguments: `breaker`, `table`, `locked` (bool), and at the end `seconds`, for which reads were refused. It is
sent in the process whose read made the change.
"""

alert = Signal()
"""Sent for each alert, in a thread of its own. Argument: `alert`, a `resilience.alerts.channels.Alert`.

It is sent in the steward's process. An alert may come twice when another process becomes the steward.
"""
