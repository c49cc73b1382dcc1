"""Sign-ins during a drill: one user signs in repeatedly, by password or by refresh token."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

from resilience import conf
from resilience.drills.load import send

# Seconds between two sign-ins.
_PAUSE = 0.5


class SignInError(ValueError):
    """The user cannot sign in before the drill, so it would show nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A sign-in: when it began, the seconds it took, and its answer."""

    at: float
    seconds: float
    how: str
    """`password` or `refresh`."""
    status: int
    """0 if no answer came."""
    retry_after: bool


@dataclass(kw_only=True)
class SignIns:
    """Sign the user in repeatedly during the block.

    Most sites limit passwords to a few a minute. So a password is sent only after a call of `by_password`. In
    between the refresh token is exchanged, which uses the same dependency.
    """

    url: str
    user: str
    password: str = field(repr=False)
    access_token: str = field(default="", repr=False, init=False)
    lasts: float = field(default=0.0, init=False)
    """Seconds for which an access token is valid."""

    def __post_init__(self) -> None:
        self._refresh_token = ""
        self._passwords = 0  # Guarded by _lock.
        self._lock = threading.Lock()
        self._attempts: list[Attempt] = []  # Written by one thread at a time.
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drill-sign-ins", daemon=True)
        self.began = 0.0

    def first(self) -> None:
        """Sign in before the drill; raise SignInError if that fails."""
        status, _, body = self._send("sign_in", username=self.user, password=self.password)
        if status != 200:
            why = body.decode(errors="replace")[:200] if status == 0 else f"it answers {status}"
            raise SignInError(f"{self.user} cannot sign in before the drill: {why}{_detail(body)}")
        if not (self.access_token and self._refresh_token):
            raise SignInError(f"{self._path('sign_in')} gives no access_token and refresh_token")

    def __enter__(self) -> Self:
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def by_password(self, times: int) -> None:
        """Send a password in the next `times` sign-ins."""
        with self._lock:
            self._passwords = times

    def attempts(self) -> list[Attempt]:
        """Return the sign-ins so far."""
        return list(self._attempts)

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            self._attempt()

    def _attempt(self) -> None:
        with self._lock:
            by_password = self._passwords > 0
            self._passwords -= by_password
        began = time.monotonic()
        if by_password:
            status, headers, _ = self._send("sign_in", username=self.user, password=self.password)
        else:
            status, headers, _ = self._send("refresh", refresh_token=self._refresh_token)
        self._attempts.append(
            Attempt(
                at=began - self.began,
                seconds=time.monotonic() - began,
                how="password" if by_password else "refresh",
                status=status,
                retry_after=headers.get("retry-after", "").isdigit(),
            )
        )

    def _send(self, what: str, **body: str) -> tuple[int, dict[str, str], bytes]:
        answer = send(self.url, self._path(what), body=json.dumps(body).encode())
        if answer[0] == 200:
            said = _parsed(answer[2])
            self.access_token = str(said.get("access_token", ""))
            self._refresh_token = str(said.get("refresh_token", ""))
            self.lasts = float(said.get("expires_in", 0))
        return answer

    @staticmethod
    def _path(what: str) -> str:
        return str(conf.get("DRILL_SIGN_IN")[what])


def _detail(body: bytes) -> str:
    detail = str(_parsed(body).get("detail", ""))[:200]
    return f": {detail}" if detail else ""


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
