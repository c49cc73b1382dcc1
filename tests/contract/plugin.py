"""Show the contract each exchange of the suite with the site: of Django's test clients and of real servers.

A test during which an exchange breaks the schema fails at its end. What is not the site as it is published is
left out: other addresses, other middleware, a site for TLS alone. A test that sends what the site takes and
the schema does not promise is marked `@pytest.mark.lenient(reason=…)`; its answers alone are judged then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Sequence
from functools import cache, wraps
from inspect import isawaitable
from typing import Any

import pytest
from django.conf import settings
from django.http.response import HttpResponseBase
from django.test.client import AsyncRequestFactory, RequestFactory

from tests.contract.contract import Contract
from tests.contract.exchange import Exchange
from tests.servers.site import SiteServer

ADDRESSES = "zenow.urls"


@cache
def contract() -> Contract:
    """Return the contract of this process; the schema is made when the first exchange is to be judged."""
    return Contract(published())


def published() -> dict[str, Any]:
    """Return the schema that the site publishes."""
    from zenow.openapi import OneSchema

    generator: Any = OneSchema  # untyped
    schema: dict[str, Any] = generator(urlconf=ADDRESSES).get_schema()
    return schema


class ContractPlugin:
    """The hooks of pytest around it."""

    def __init__(self) -> None:
        self._lenient = False
        self._as_shipped: tuple[Any, ...] = ()
        self._undo = pytest.MonkeyPatch()
        self._overheard: deque[Exchange] = deque()
        self._counts: Counter[tuple[Any, ...]] = Counter()
        self._taken = 0

    def pytest_sessionstart(self) -> None:
        self._as_shipped = _shape()
        for factory in (RequestFactory, AsyncRequestFactory):
            self._undo.setattr(factory, "generic", self._listened_to(factory.generic))
        self._undo.setattr(SiteServer, "overheard", staticmethod(self.hear))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._undo.undo()
        if contract.cache_info().currsize:
            self._add(contract().taken, list(contract().counts.items()))
        if hasattr(session.config, "workeroutput"):  # of xdist
            session.config.workeroutput["contract"] = (self._taken, list(self._counts.items()))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._add(*getattr(node, "workeroutput", {}).get("contract", (0, [])))

    def _add(self, taken: int, counts: Iterable[tuple[Sequence[Any], int]]) -> None:
        self._taken += taken
        self._counts.update({(*key,): number for key, number in counts})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        answers = sum(self._counts.values())
        if answers:
            terminalreporter.write_line(
                f"The schema held for {answers:,} answers and for {self._taken:,} requests that were taken."
            )
        if terminalreporter.config.getoption("contract_counts"):
            terminalreporter.section("answers that keep to the schema: method, address, status, tier")
            for key, number in sorted(self._counts.items()):
                terminalreporter.write_line(f"{number:7,}  {' '.join(map(str, key))}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._lenient = item.get_closest_marker("lenient") is not None
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return self.judge((yield))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return self.judge((yield))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return self.judge((yield))

    def hear(self, exchange: Exchange) -> None:
        """Note an exchange. It is judged later, so that no answer seems to have taken longer."""
        self._overheard.append(exchange)

    def judge(self, result: object) -> object:
        """Judge what was heard; fail the test if something breaks the schema, else return its result."""
        while self._overheard:
            contract().judge(self._overheard.popleft(), lenient=self._lenient)
        broken = contract().broken if contract.cache_info().currsize else []
        if broken:
            said = "\n".join(dict.fromkeys(broken))
            broken.clear()
            pytest.fail(f"the schema is broken by\n{said}", pytrace=False)
        return result

    def _listened_to(self, generic: Any) -> Any:
        """Return the method of a factory of requests by which each of them goes, with an ear at it."""

        @wraps(generic)
        def asked(
            factory: RequestFactory, method: str, path: Any, data: Any = "", *args: Any, **options: Any
        ) -> Any:
            answer = generic(factory, method, path, data, *args, **options)
            if isawaitable(answer):
                return self._awaited(data, answer)
            self._answered(data, answer)
            return answer

        return asked

    async def _awaited(self, data: Any, answer: Any) -> Any:
        response = await answer
        self._answered(data, response)
        return response

    def _answered(self, data: Any, answer: Any) -> None:
        # A factory that is no client returns the request.
        if isinstance(answer, HttpResponseBase) and _shape() == self._as_shipped:
            self.hear(Exchange.of_test_client(data, answer))


def _shape() -> tuple[object, ...]:
    before = settings.ROOT_URLCONF, settings.SECURE_SSL_REDIRECT, tuple(settings.MIDDLEWARE)
    return *before, repr(settings.REST_FRAMEWORK)
