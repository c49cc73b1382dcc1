"""Tell systemd that the supervisor runs: nobody else would notice one that was stopped, or hangs.

The protocol is one datagram to the socket that NOTIFY_SOCKET names, as sd_notify(3) says. Elsewhere than
under systemd, or without `WatchdogSec` in the unit, nothing is sent.
"""

import logging
import os
import socket

logger = logging.getLogger("zenow.watchdog")


class Watchdog:
    """The socket of systemd to which signs of life go, if there is one."""

    def __init__(self) -> None:
        named = os.environ.get("NOTIFY_SOCKET", "") if "WATCHDOG_USEC" in os.environ else ""
        # A leading @ stands for the NUL of an address without a file.
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
