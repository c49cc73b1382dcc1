"""Whether a worker is wedged: it is asked, answers nothing, and that is not because it starves.

New connections pass by one that does not answer them, and one that answers nothing at all is ended: a worker
without descriptors, say, takes no new connection and serves those that it has.

A worker that has answered nothing for a while is one of three. It used no processor: it was stopped, or its
threads wait for each other. It used all of one: it turns in a circle. Or it wants a processor, or a disk, and
does not get it; it starves beside a busy neighbour, and is left alone: to end it would only add to the load.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from zenow.server import processor

# How often the supervisor looks; all in seconds.
EVERY = 0.25
# A longer pause between two looks counts as this: what stopped the supervisor (a paused machine, a frozen
# container, a busy processor) has probably stopped the workers as well.
LONGEST = 0.5
# Seconds of silence after which new connections pass a worker by, and after which it is ended.
PASSED_BY_AFTER = 2.0
ENDED_AFTER = 4.5
# granian ends the whole server when a worker dies within 5.5 s of its start for the second time.
NEVER_ENDED_BEFORE = 6.0

# After this number of looks an unanswered question is put again, in case it was lost on its way.
_PATIENCE = 4


def liveness_request(path: str) -> bytes:
    """Return what workers are asked: it needs a thread of theirs, and nothing that may be away."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


class Question:
    """A small request in the queue of one worker, put again each time that it is answered."""

    def __init__(self, connect: Callable[[], socket.socket], request: bytes) -> None:
        self._connect = connect
        self._request = request
        self._asked: socket.socket | None = None
        self._sent = False
        self._looks = 0
        self.answers = 0
        """how often it was answered"""

    def put(self) -> bool:
        """Ask, unless an answer is still awaited; never wait. Return False when it cannot be asked."""
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
            pass  # Not connected yet: a full queue counts as a question that was asked.
        except OSError:
            self.drop()
            return False
        return True

    def drop(self) -> None:
        """Wait no longer."""
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
            self.drop()  # It was cut off, and is put again at once.
        return told != b""


class Silence:
    """For how long a process has shown no sign, and what it did meanwhile."""

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
        """Note the count of each kind of sign, `passed` seconds after the last look; one kind is judged.

        Which one may change from look to look. That is no sign: a silent worker goes on being silent.
        """
        before, self._signs = self._signs.get(judged_by), signs
        if signs[judged_by] != before:
            self._begin()
            return
        self.seconds += passed
        use = self._look(self._pid)
        if use is None:
            self._begin()  # It has ended, and others hear of that.
        elif self._first is None or self._last is None:
            self._first = self._last = use
        else:
            self._wanted += passed if use.wanted_since(self._last) else 0.0
            self._last = use

    def is_wedged(self, after: float) -> bool:
        """Say whether it has been silent for that long, and does not just starve."""
        if self.seconds < after or self._first is None or self._last is None:
            return False
        ran = self._last.ran - self._first.ran
        idles = max(ran, self._wanted) < self.seconds / 2
        spins = ran >= 0.8 * after
        return idles or spins

    def reason(self) -> str:
        """Say in a few words what it did."""
        if processor.is_stopped(self._pid):
            return "it was stopped, by a signal or a debugger"
        ran = self._last.ran - self._first.ran if self._first and self._last else 0.0
        if ran >= self.seconds / 2:
            return f"it used {ran:.1f} s of processor time and answered nothing"
        return "it used hardly any processor time: its threads wait for something that does not come"
