"""Whether a worker is wedged: it does not answer, although it does not starve.

A worker that does not answer new connections gets no more of them: one without descriptors, for example, can
only serve those that it has. A worker that does not answer at all is ended.

There are three cases of a worker that has not answered for a while. It used no processor time: it was
stopped, or its threads wait for each other. It used all of a processor: it is in an endless loop. Or it wants
a processor or a disk, and does not get it: it starves, and is left alone, since ending it would add to the
load.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from zenow.server import processor

# Seconds between two looks of the supervisor.
EVERY = 0.25
# The most seconds that a pause between two looks counts for. Whatever stopped the supervisor (a paused
# machine, a frozen container, a busy processor) has probably stopped the workers too.
LONGEST = 0.5
# Seconds of silence after which a worker gets no new connections, and after which it is ended.
PASSED_BY_AFTER = 2.0
ENDED_AFTER = 4.5
# granian ends the whole server when a worker dies within 5.5 s of its start for the second time.
NEVER_ENDED_BEFORE = 6.0

# The looks after which an unanswered question is sent again, in case it was lost.
_PATIENCE = 4


def liveness_request(path: str) -> bytes:
    """Return the HTTP request for liveness. Its answer takes a thread of the worker, and no dependency."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


class Question:
    """A small request to one worker. It is sent again each time it was answered."""

    def __init__(self, connect: Callable[[], socket.socket], request: bytes) -> None:
        self._connect = connect
        self._request = request
        self._asked: socket.socket | None = None
        self._sent = False
        self._looks = 0
        self.answers = 0
        """how many times it was answered"""

    def put(self) -> bool:
        """Send it, unless an answer is due; never wait. Return False if it cannot be sent."""
        self._looks += 1
        answered = self._is_answered()
        self.answers += answered
        if answered or self._looks >= _PATIENCE:
            self.drop()
        try:
            if self._asked is None:
                self._looks, self._sent = 0, False
                self._asked = self._connect()
            if not self._sent:
                self._sent = self._asked.send(self._request) > 0
        except BlockingIOError:
            pass  # not connected yet: in a full queue, the question counts as sent
        except OSError:
            self.drop()
            return False
        return True

    def drop(self) -> None:
        """Close its connection, and expect no answer."""
        if self._asked is not None:
            self._asked.close()
            self._asked = None

    def _is_answered(self) -> bool:
        if self._asked is None or not self._sent:
            return False
        try:
            told = self._asked.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            told = b""
        if not told:
            self.drop()  # the connection was reset; the question is sent again at once
        return told != b""


class Silence:
    """The time for which a process has given no sign of life, and what it did meanwhile."""

    def __init__(self, pid: int, look: Callable[[int], processor.Use | None] = processor.look) -> None:
        self._pid = pid
        self._look = look
        self._signs: Mapping[str, int] = {}
        self._begin()

    def _begin(self) -> None:
        self.seconds = 0.0
        self._wanted = 0.0
        self._first: processor.Use | None = None
        self._last: processor.Use | None = None

    def look(self, signs: Mapping[str, int], judged_by: str, passed: float) -> None:
        """Note the count of each kind of sign, `passed` seconds after the last look.

        Only the kind `judged_by` is judged. If this changes from one look to the next, it is no sign of life.
        """
        before, self._signs = self._signs.get(judged_by), signs
        if signs[judged_by] != before:
            self._begin()
            return
        self.seconds += passed
        use = self._look(self._pid)
        if use is None:
            self._begin()  # it has ended; that is noticed elsewhere
        elif self._first is None or self._last is None:
            self._first = self._last = use
        else:
            self._wanted += passed if use.wanted_since(self._last) else 0.0
            self._last = use

    def is_wedged(self, after: float) -> bool:
        """Tell whether it has been silent for `after` seconds and did not starve."""
        if self.seconds < after or self._first is None or self._last is None:
            return False
        ran = self._last.ran - self._first.ran
        idles = max(ran, self._wanted) < self.seconds / 2
        spins = ran >= 0.8 * after
        return idles or spins

    def reason(self) -> str:
        """Return in a few words what it did."""
        if processor.is_stopped(self._pid):
            return "it was stopped, by a signal or a debugger"
        ran = self._last.ran - self._first.ran if self._first and self._last else 0.0
        if ran >= self.seconds / 2:
            return f"it used {ran:.1f} s of processor time and answered nothing"
        return "it used hardly any processor time: its threads wait for something that does not come"
