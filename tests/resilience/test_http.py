"""However a partner fails, the caller has an answer or an error in time, and within bounds."""

import gzip
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from resilience import faults, registry
from resilience.http import (
    AnswerTooLargeError,
    CutShortError,
    GuardedSession,
    UnexpectedAnswerError,
    classify,
    session,
)
from resilience.net import addresses
from resilience.primitives import (
    BreakerOpenError,
    BulkheadFullError,
    DeadlineExceededError,
    ManualClock,
    Outcome,
    State,
    deadline_scope,
)
from resilience.testing import full_pool, server_role
from tests.resilience.wire import deadline_kept, serving, stay_silent, taking_at_most
from tests.servers.partner import Partner


def as_it_is(value: Any) -> Any:
    return value


class TestAnswers:
    def test_come_back_whole(self, api: GuardedSession, partner: Partner) -> None:
        answer = api.get(f"{partner.url}/algebra", params={"lang": "en"})

        assert answer.status_code == 200
        assert answer.json()["slug"] == "algebra"
        assert answer.content.startswith(b"{")

    @pytest.mark.parametrize(("mode", "status"), [("unknown", 404), ("broken", 500), ("redirecting", 302)])
    def test_of_any_status_come_back_as_from_requests(
        self, api: GuardedSession, partner: Partner, mode: str, status: int
    ) -> None:
        partner.mode = mode

        assert api.get(f"{partner.url}/algebra").status_code == status
        assert partner.requests == 1

    def test_are_read_as_json_that_the_caller_checks(self, api: GuardedSession, partner: Partner) -> None:
        assert api.get_json(f"{partner.url}/algebra", expect=lambda value: value["slug"]) == "algebra"

    @pytest.mark.parametrize("mode", ["garbage", "wrong"])
    def test_that_are_not_what_was_asked_for_are_the_partners_failure(
        self, api: GuardedSession, partner: Partner, mode: str
    ) -> None:
        partner.mode = mode

        with pytest.raises(UnexpectedAnswerError) as caught:
            api.get_json(f"{partner.url}/algebra", expect=lambda value: float(value["rating"]))
        assert classify(caught.value) is Outcome.FAILURE

    @pytest.mark.parametrize("mode", ["unknown", "redirecting", "broken"])
    def test_of_another_status_than_200_are_no_json(
        self, api: GuardedSession, partner: Partner, mode: str
    ) -> None:
        partner.mode = mode

        with pytest.raises(requests.HTTPError, match=r"instead of 200|^500"):
            api.get_json(f"{partner.url}/algebra", expect=as_it_is)


class TestBounds:
    @pytest.mark.parametrize("mode", ["silent", "dripping"])
    def test_of_time_hold_for_headers_and_body_together(
        self, api: GuardedSession, partner: Partner, mode: str
    ) -> None:
        partner.mode = mode

        with taking_at_most(0.8), pytest.raises(requests.RequestException) as caught:
            api.get(f"{partner.url}/algebra")
        assert classify(caught.value) is Outcome.FAILURE

    def test_of_time_hold_for_headers_that_drip(self, api: GuardedSession) -> None:
        def drip_headers(client: socket.socket, ended: threading.Event) -> None:
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            while not ended.wait(0.02):
                client.sendall(b"X-Drop: 1\r\n")

        with serving(drip_headers) as port, taking_at_most(0.8), pytest.raises(requests.RequestException):
            api.get(f"http://127.0.0.1:{port}/")

    def test_of_time_hold_for_a_tls_handshake(self, api: GuardedSession) -> None:
        with serving(stay_silent) as port, taking_at_most(0.8), pytest.raises(requests.RequestException):
            api.get(f"https://localhost:{port}/")

    def test_of_time_hold_for_connecting_over_several_addresses(
        self, silent_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(addresses, "lookup", lambda host, limit: ["127.0.0.1"] * 3)
        api = GuardedSession("external_api", connect=0.2)

        with taking_at_most(0.5), pytest.raises(requests.ConnectTimeout):
            api.get(f"http://three.test:{silent_port}/")

    def test_of_size_hold_whatever_the_server_promises(self, api: GuardedSession, partner: Partner) -> None:
        partner.mode = "huge"

        with pytest.raises(AnswerTooLargeError) as caught:
            api.get(f"{partner.url}/algebra")
        assert classify(caught.value) is Outcome.FAILURE

    def test_of_size_hold_for_what_was_compressed(self, api: GuardedSession) -> None:
        bomb = gzip.compress(b"0" * 50_000_000)

        def send_bomb(client: socket.socket, ended: threading.Event) -> None:
            client.recv(10_000)
            client.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
            )

        with serving(send_bomb) as port, pytest.raises(AnswerTooLargeError):
            api.get(f"http://127.0.0.1:{port}/")

    def test_do_not_stop_an_answer_of_just_that_size(self, api: GuardedSession, partner: Partner) -> None:
        size = len(api.get(f"{partner.url}/algebra").content)

        assert GuardedSession("external_api", most_bytes=size).get(f"{partner.url}/algebra").ok

    def test_hold_in_a_hurry_without_blaming_the_partner(self, api: GuardedSession, partner: Partner) -> None:
        partner.mode = "silent"

        with deadline_kept(0.1), pytest.raises(DeadlineExceededError) as caught:
            api.get(f"{partner.url}/algebra")
        assert classify(caught.value) is Outcome.IGNORED

    def test_hold_when_a_request_had_more_than_half_of_the_time(
        self, api: GuardedSession, partner: Partner
    ) -> None:
        partner.mode = "silent"

        with deadline_kept(0.35), pytest.raises(CutShortError) as caught:
            api.get(f"{partner.url}/algebra")
        assert classify(caught.value) is Outcome.SLOW

    def test_leave_a_partner_alone_when_the_time_is_up_already(
        self, api: GuardedSession, partner: Partner
    ) -> None:
        with deadline_scope(0.0), pytest.raises(DeadlineExceededError) as caught:
            api.get(f"{partner.url}/algebra")
        assert caught.value.before_call
        assert partner.requests == 0


class TestPrivacy:
    """What a partner sends or an environment says changes nothing of the next request."""

    def received(self, api: GuardedSession, answer: bytes) -> list[bytes]:
        requests_seen: list[bytes] = []

        def serve(client: socket.socket, ended: threading.Event) -> None:
            requests_seen.append(client.recv(10_000))
            client.sendall(answer)

        with serving(serve) as port:
            for _ in range(2):
                api.get(f"http://127.0.0.1:{port}/")
        return requests_seen

    def test_keeps_no_cookie(self, api: GuardedSession) -> None:
        answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"

        assert all(b"cookie" not in seen.lower() for seen in self.received(api, answer))

    def test_asks_no_proxy_and_no_netrc(
        self, api: GuardedSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password secret")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")

        seen = self.received(api, b"HTTP/1.1 204 No Content\r\n\r\n")

        assert len(seen) == 2
        assert all(b"authorization" not in request.lower() for request in seen)

    def test_uses_a_connection_once(self, api: GuardedSession) -> None:
        """A server that closes one without a word would else have the next request fail."""
        seen = self.received(api, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        assert all(b"connection: close" in request.lower() for request in seen)
        assert len(seen) == 2


class TestClassify:
    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (requests.ConnectionError(), Outcome.FAILURE),
            (requests.ConnectTimeout(), Outcome.FAILURE),
            (requests.ReadTimeout(), Outcome.FAILURE),
            (requests.exceptions.SSLError(), Outcome.FAILURE),
            (requests.exceptions.ChunkedEncodingError(), Outcome.FAILURE),
            (requests.exceptions.ContentDecodingError(), Outcome.FAILURE),
            (AnswerTooLargeError(), Outcome.FAILURE),
            (UnexpectedAnswerError(), Outcome.FAILURE),
            (CutShortError(), Outcome.SLOW),
            (requests.exceptions.InvalidURL(), Outcome.IGNORED),
            (requests.exceptions.MissingSchema(), Outcome.IGNORED),
            (requests.exceptions.InvalidHeader(), Outcome.IGNORED),
            (requests.exceptions.InvalidJSONError(), Outcome.IGNORED),
            (DeadlineExceededError(), Outcome.IGNORED),
            (BulkheadFullError("external", retry_after=1.0, reason="full"), Outcome.IGNORED),
            (KeyboardInterrupt(), Outcome.IGNORED),
            (AttributeError(), Outcome.IGNORED),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.name,
    )
    def test_of_an_error(self, error: BaseException, outcome: Outcome) -> None:
        assert classify(error) is outcome

    @pytest.mark.parametrize(
        ("status", "outcome"),
        [
            (302, Outcome.ANSWERED),
            (400, Outcome.ANSWERED),
            (404, Outcome.ANSWERED),
            (429, Outcome.ANSWERED),
            (500, Outcome.FAILURE),
            (503, Outcome.FAILURE),
        ],
    )
    def test_of_a_status(self, status: int, outcome: Outcome) -> None:
        response = requests.Response()
        response.status_code = status

        assert classify(requests.HTTPError(response=response)) is outcome

    def test_of_a_refused_connection(self, api: GuardedSession) -> None:
        # Below the ephemeral range: up there a client may be given the very port that it connects to.
        with pytest.raises(requests.ConnectionError) as caught:
            api.get("http://127.0.0.1:9/")
        assert classify(caught.value) is Outcome.FAILURE

    @pytest.mark.parametrize("url", ["no-scheme", "ftp://127.0.0.1/", "http://", "http://*.test/"])
    def test_of_a_url_that_is_none(self, api: GuardedSession, url: str) -> None:
        with pytest.raises(requests.RequestException) as caught:
            api.get(url)
        assert classify(caught.value) is Outcome.IGNORED


class TestBreaker:
    """In a server process: the breaker `external_api` hears of every call."""

    @pytest.fixture(autouse=True)
    def clock(self) -> Iterator[ManualClock]:
        clock = ManualClock()
        with server_role(clock=clock):
            yield clock

    @property
    def state(self) -> State:
        return registry.breaker("external_api").shown()

    @pytest.mark.parametrize("mode", ["silent", "dripping", "broken", "huge", "garbage", "cut"])
    def test_opens_after_five_failures_of_any_kind_and_asks_no_more(
        self, partner: Partner, mode: str
    ) -> None:
        api = GuardedSession("external_api", total=0.05, most_bytes=10_000)
        partner.mode = mode
        for _ in range(5):
            assert self.state is State.CLOSED
            with pytest.raises(requests.RequestException):
                api.get_json(f"{partner.url}/algebra", expect=as_it_is)

        assert self.state is State.OPEN
        with taking_at_most(0.05), pytest.raises(BreakerOpenError):
            api.get_json(f"{partner.url}/algebra", expect=as_it_is)
        assert partner.requests == 5

    def test_opens_on_answers_that_count_but_are_given_to_the_caller(
        self, api: GuardedSession, partner: Partner
    ) -> None:
        partner.mode = "broken"
        for _ in range(5):
            assert api.get(f"{partner.url}/algebra").status_code == 500

        assert self.state is State.OPEN

    def test_opens_when_a_frozen_partner_is_only_asked_in_a_hurry(self, partner: Partner) -> None:
        api = GuardedSession("external_api", total=0.1)
        partner.mode = "silent"
        for _ in range(5):
            with deadline_scope(0.06), pytest.raises(CutShortError):
                api.get(f"{partner.url}/algebra")

        assert self.state is State.OPEN

    @pytest.mark.parametrize("mode", ["unknown", "redirecting", "well"])
    def test_stays_closed_while_the_partner_answers(
        self, api: GuardedSession, partner: Partner, mode: str
    ) -> None:
        partner.mode = mode
        for _ in range(10):
            api.get(f"{partner.url}/algebra")

        assert self.state is State.CLOSED

    def test_closes_when_the_partner_is_back(
        self, api: GuardedSession, partner: Partner, clock: ManualClock
    ) -> None:
        partner.mode = "broken"
        for _ in range(5):
            api.get(f"{partner.url}/algebra")
        partner.mode = "well"
        clock.advance(30.0)

        assert api.get(f"{partner.url}/algebra").ok
        assert self.state is State.CLOSED

    def test_hears_nothing_of_a_full_bulkhead(self, api: GuardedSession, partner: Partner) -> None:
        with full_pool("external"):
            for _ in range(5):
                with pytest.raises(BulkheadFullError):
                    api.get(f"{partner.url}/algebra")

        assert self.state is State.CLOSED
        assert partner.requests == 0

    def test_leaves_the_pool_to_the_partner(self, partner: Partner) -> None:
        own = session("external_api", pool="other")
        assert own is session("external_api", pool="other")
        with full_pool("external"):
            assert own.get(f"{partner.url}/algebra").ok
            with pytest.raises(BulkheadFullError):
                session("external_api").get(f"{partner.url}/algebra")
        with full_pool("other"), pytest.raises(BulkheadFullError):
            own.get(f"{partner.url}/algebra")

    def test_hears_of_a_drill_as_of_the_real_thing(
        self, api: GuardedSession, partner: Partner, settings: Any
    ) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": True}
        with server_role():
            faults.start("external_api", "error", lasts=60)
            for _ in range(5):
                with pytest.raises(requests.ConnectionError):
                    api.get(f"{partner.url}/algebra")

            assert self.state is State.OPEN
        assert partner.requests == 0


class TestSession:
    def test_is_the_same_each_time(self) -> None:
        assert session("external_api") is session("external_api")
        assert session("external_api") is not session("another")
