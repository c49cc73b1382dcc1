"""What counts against a cache, what does not, and what its caller gets to see."""

import pytest
import redis
import redis.exceptions as errors
from django.core.cache.backends.base import InvalidCacheKey
from django.db import DatabaseError, DataError
from redis._parsers.base import BaseParser

from resilience.cache.failures import classify, is_callers, timed_out
from resilience.primitives import BulkheadFullError, Outcome
from tests.servers import RedisServer

FAILURE, ANSWERED, IGNORED = Outcome.FAILURE, Outcome.ANSWERED, Outcome.IGNORED


class TestClassify:
    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (errors.ConnectionError("Connection closed by server."), FAILURE),
            (errors.TimeoutError("Timeout reading from socket"), FAILURE),
            (errors.InvalidResponse("Protocol Error"), FAILURE),
            (ConnectionRefusedError(), FAILURE),
            (TimeoutError(), FAILURE),
            (DatabaseError(), FAILURE),
            (errors.MaxConnectionsError("Too many connections"), IGNORED),
            (BulkheadFullError("read", retry_after=1.0, reason="full"), IGNORED),
            (KeyboardInterrupt(), IGNORED),
            (SystemExit(), IGNORED),
            (errors.DataError("Invalid input of type: 'Course'"), ANSWERED),
            (ValueError("Key 'k' not found"), FAILURE),
            (TypeError("unexpected keyword argument 'no_such_option'"), FAILURE),
            (AttributeError("'str' object has no attribute 'get'"), FAILURE),
            (errors.RedisError("Invalid SSL Certificate Requirements Flag"), FAILURE),
            (InvalidCacheKey("a key that is too long"), ANSWERED),
            (NotImplementedError("subclasses of BaseCache must provide a touch() method"), ANSWERED),
            (DataError("value too long for type character varying(255)"), ANSWERED),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.name,
    )
    def test_of_an_error_of_the_client(self, error: BaseException, outcome: Outcome) -> None:
        assert classify(error) is outcome

    @pytest.mark.parametrize(
        ("reply", "outcome"),
        [
            ("LOADING Redis is loading the dataset in memory", FAILURE),
            ("READONLY You can't write against a read only replica.", FAILURE),
            ("OOM command not allowed when used memory > 'maxmemory'.", FAILURE),
            ("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist.", FAILURE),
            ("NOREPLICAS Not enough good replicas to write.", FAILURE),
            ("BUSY Redis is busy running a script.", FAILURE),
            ("MASTERDOWN Link with MASTER is down", FAILURE),
            ("CLUSTERDOWN The cluster is down", FAILURE),
            ("TRYAGAIN Multiple keys request during rehashing of slot", FAILURE),
            ("MOVED 3999 127.0.0.1:6381", FAILURE),
            ("NOAUTH Authentication required.", FAILURE),
            ("WRONGPASS invalid username-password pair or user is disabled.", FAILURE),
            ("NOPERM this user has no permissions to run the 'get' command", FAILURE),
            ("ERR max number of clients reached", FAILURE),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", ANSWERED),
            ("ERR value is not an integer or out of range", ANSWERED),
            ("ERR invalid expire time in 'set' command", ANSWERED),
            ("ERR unknown command 'FLUSHDB'", FAILURE),
            ("ERR DB index is out of range", FAILURE),
            ("ERR backend unavailable", FAILURE),
        ],
    )
    def test_of_a_reply_of_the_server(self, reply: str, outcome: Outcome) -> None:
        error = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]

        assert classify(error) is outcome

    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (ValueError("Key 'k' not found"), ANSWERED),
            (TypeError("can't concat int to bytes"), ANSWERED),
            (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), FAILURE),
            (errors.LockError("unable to acquire"), FAILURE),
        ],
    )
    def test_of_an_error_of_counting(self, error: Exception, outcome: Outcome) -> None:
        assert classify(error, "incr") is outcome

    @pytest.mark.parametrize(
        ("reply", "outcome"),
        [("NOPERM this user has no permissions", FAILURE), ("ERR value is not an integer", ANSWERED)],
    )
    def test_of_counting_by_hand_is_that_of_the_reply_which_led_to_it(
        self, reply: str, outcome: Outcome
    ) -> None:
        by_hand = TypeError("unsupported operand type(s) for +: 'NoneType' and 'int'")
        by_hand.__context__ = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]

        assert classify(by_hand, "incr") is outcome

    def test_of_what_a_real_server_replies(self, redis_server: RedisServer) -> None:
        client = redis.Redis.from_url(redis_server.url)
        client.set("text", "x")
        with client, pytest.raises(errors.ResponseError) as caught:
            client.incr("text")

        assert classify(caught.value) is ANSWERED


class TestIsCallers:
    def test_of_wrong_use_and_interrupts_only(self) -> None:
        assert is_callers(ValueError("Key 'k' not found"), "incr")
        assert is_callers(KeyboardInterrupt())
        assert not is_callers(errors.TimeoutError())
        assert not is_callers(errors.MaxConnectionsError())


class TestTimedOut:
    def test_of_waits_only(self) -> None:
        assert timed_out(errors.TimeoutError())
        assert timed_out(TimeoutError())
        assert not timed_out(errors.ConnectionError())
