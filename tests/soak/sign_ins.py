"""People who sign in, some of them with a wrong password; who succeeds gives the writers a new token."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter

from tests.functional.outages import Site

PASSWORD = "correct horse battery"
# Enough accounts that none is tried five times a minute, which is refused.
PEOPLE = 8
_PAUSE = 2.5
MAKE_PEOPLE = f"""
from django.contrib.auth.models import User
from zenow.accounts import access
for number in range({PEOPLE}):
    User.objects.create_superuser(f"person-{{number}}", password={PASSWORD!r})
print(access.mint(User.objects.first()))
"""
_RIGHT = (200, 503)
_WRONG = (401, 503)


class SignIns(threading.Thread):
    """Sign in again and again until told to stop."""

    def __init__(self, site: Site) -> None:
        super().__init__(name="sign-ins", daemon=True)
        self._site = site
        self.stopping = threading.Event()
        self.answers: Counter[str] = Counter()
        self.strange: list[str] = []
        self.broken: list[tuple[float, float]] = []  # asked, broke: monotonic seconds

    def run(self) -> None:
        for number in itertools.count():
            if self.stopping.wait(_PAUSE):
                return
            self._sign_in(f"person-{number % PEOPLE}", is_right=number % 4 != 3)

    def _sign_in(self, username: str, *, is_right: bool) -> None:
        body = json.dumps({"username": username, "password": PASSWORD if is_right else "guessed"})
        asked = time.monotonic()
        try:
            answer = self._site.post(
                "/api/auth/token", body, timeout=15, **{"Content-Type": "application/json"}
            )
        except (OSError, http.client.HTTPException):
            self.broken.append((asked, time.monotonic()))
            return
        password = "right" if is_right else "wrong"
        self.answers[f"{password} password {answer.status}"] += 1
        if answer.status not in (_RIGHT if is_right else _WRONG):
            self.strange.append(f"{password} password: {answer.status} {answer.body[:200]}")
        elif answer.status == 200:
            self._site.token = json.loads(answer.body)["access_token"]
