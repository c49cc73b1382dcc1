"""Tell systemd that the supervisor runs: nothing else would notice if it was stopped or hangs.

The protocol is a datagram to the socket that NOTIFY_SOCKET names; see sd_notify(3). Nothing is sent without
systemd, or without `WatchdogSec` in the unit.
"""

import logging
import os
import socket

logger = logging.getLogger("zenow.watchdog")


class Watchdog:
    """Sends signs of life to systemd's socket, if there is one."""

    def __init__(self) -> None:
        named = os.environ.get("NOTIFY_SOCKET", "") if "WATCHDOG_USEC" in os.environ else ""
        # In NOTIFY_SOCKET a leading @ stands for the NUL byte of an abstract address.
        self._address = "\0" + named[1:] if named.startswith("@") else named
        self._failed = False

    def tell(self) -> None:
        """Give a sign of life; never wait, and never raise."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
                telling.setblocking(False)
                telling.sendto(b"WATCHDOG=1", self._address)
        except OSError as error:
            if not self._failed:
                logger.warning("systemd cannot be told that this process runs: %s", error)
            self._failed = True
