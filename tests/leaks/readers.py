"""Readers who know what is theirs alone, and look in each answer for what is another's."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.middleware import csrf
from django.test import Client
from django.urls import URLPattern

from resilience import registry
from tests.leaks import site

_TOKEN = re.compile(rb"\b[A-Za-z0-9]{64}\b")
ADDRESSES = [
    "/" + re.sub(r"<int:\w+>", "7", re.sub(r"<slug:\w+>", "jazz", str(pattern.pattern)))
    for pattern in site.urlpatterns
    if isinstance(pattern, URLPattern)
]


unmask: Callable[[str], str] = vars(csrf)["_unmask_cipher_token"]


class Reader:
    """One client. Its name stands in its account, session, cookies, headers and messages."""

    def __init__(self, name: str, *, account: bool) -> None:
        self.name = name
        self.client = Client(raise_request_exception=False)
        if account:
            self.client.force_login(User.objects.create_user(name))
            session = self.client.session
            session["basket"] = name
            session.save()
        self.client.cookies["flavour"] = name
        self.headers = {"x-tenant": name}

    def ask(self, address: str, **headers: str) -> Any:
        self.client.cookies["flavour"] = self.name
        return self.client.get(address, headers={**self.headers, **headers}, query_params={})


class Watcher:
    """Look at each answer, and keep those that show what is another's."""

    def __init__(self, readers: list[Reader]) -> None:
        self.readers = readers
        self.tokens: dict[str, str] = {}  # the secret of each CSRF token, and to whom it was shown first
        self.leaks: list[str] = []
        self.sources: dict[str, int] = {}

    def look(self, reader: Reader, address: str, answer: Any) -> None:
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        shown = body + repr(dict(answer.headers)).encode() + str(answer.cookies).encode()
        source = answer.headers.get("X-Data-Source", str(answer.status_code))
        self.sources[source] = self.sources.get(source, 0) + 1
        for other in self.readers:
            if other is not reader and other.name.encode() in shown:
                self.leaks.append(f"{address} ({source}) showed {other.name} to {reader.name}")
        for found in _TOKEN.findall(shown):
            secret = unmask(found.decode())
            if self.tokens.setdefault(secret, reader.name) != reader.name:
                self.leaks.append(f"{address} ({source}) showed the token of {self.tokens[secret]}")


def mixed(times: int, seed: int, *, until_seen: bool = False) -> Watcher:
    """Let two accounts and two others ask `times` times, healthy and in outages; return what was seen.

    With `until_seen` it ends at the first leak.
    """
    draw = random.Random(seed)  # noqa: S311  # no secret
    readers = [Reader("ada-of-alnwick", account=True), Reader("grace-of-galway", account=True)]
    readers += [Reader("nobody-of-nantes", account=False), Reader("noone-of-norwich", account=False)]
    watcher = Watcher(readers)
    for number in range(times):
        if until_seen and watcher.leaks:
            break
        if number % 50 == 0:
            _break(draw.choice(("nothing", "database", "cache", "both")))
        if number % 70 == 0:
            version = registry.store().marks.read().version
            registry.store().marks.rise(version=version + 1)
        reader, address = draw.choice(readers), draw.choice(ADDRESSES)
        asked = f"{address}?as={reader.name}" if draw.random() < 0.1 else address
        language = draw.choice(("en", "de"))
        watcher.look(reader, address, reader.ask(asked, **{"accept-language": language}))
    _break("nothing")
    return watcher


def _break(what: str) -> None:
    for name in ("database", "cache"):
        breaker = registry.breaker(name)
        if what in (name, "both"):
            breaker.isolate(who="ada", why="for the test")
        else:
            breaker.reset()
