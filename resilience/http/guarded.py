"""Ask a partner over HTTP, behind its guard, within a time and a number of bytes."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import requests

from resilience import conf, faults, registry
from resilience.http.failures import (
    AnswerTooLargeError,
    CutShortError,
    PartnerBusyError,
    PartnerDeadlineError,
    PartnerRefusedError,
    UnexpectedAnswerError,
    classify,
)
from resilience.http.transport import BoundedAdapter
from resilience.primitives import (
    BreakerOpenError,
    BulkheadFullError,
    Deadline,
    DeadlineExceededError,
    budget,
    jsons,
)

T = TypeVar("T")

_CHUNK = 65_536


@cache
def session(name: str, *, pool: str = "external") -> "GuardedSession":
    """Return this process's session of one partner: `session("external_api").get_json(url, expect=…)`.

    Each call takes a place in `pool`, so that a silent partner holds no more threads than that pool has.
    """
    return GuardedSession(name, pool=pool)


class GuardedSession:
    """Send requests through the guard `name`, as `requests` would, with four differences.

    Connecting (`connect` seconds over all addresses), sending, headers and body have one deadline together:
    `total` seconds, or the request's. An answer has at most `most_bytes`. Nothing is redirected, repeated or
    remembered (cookies, connections). The environment (proxies, `.netrc`) is not read.

    Raises `requests.RequestException` if the partner fails or its guard refuses the call. A refusal is a
    `RejectedError`, too, and a call for which the request has no time left a `DeadlineExceededError`.
    """

    def __init__(
        self,
        name: str,
        *,
        pool: str = "external",
        connect: float | None = None,
        total: float | None = None,
        most_bytes: int = 1_048_576,
    ) -> None:
        self.name = name
        self._pool = pool
        self._connect = conf.deadline("http_connect") if connect is None else connect
        self._total = conf.deadline("http_total") if total is None else total
        self._most_bytes = most_bytes

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Return the whole answer, of any status. `options` are those of `requests.request`.

        A `timeout` holds in shadow, where the session has no deadline of its own, and nowhere else.
        """
        try:
            return self._guarded(_as_it_is, method, url, options)
        except requests.HTTPError as error:
            if error.response is None:
                raise
            return error.response

    def get(self, url: str, **options: Any) -> requests.Response:
        """Return the answer to a GET: see `request`."""
        return self.request("GET", url, **options)

    def get_json(self, url: str, *, expect: Callable[[Any], T], **options: Any) -> T:
        """Return what `expect` makes of the JSON at `url`.

        `expect` checks the value and raises ValueError, TypeError or LookupError if it is not what was asked
        for: this raises UnexpectedAnswerError, a failure of the partner. A status other than 200 raises
        `requests.HTTPError`.
        """

        def read(response: requests.Response) -> T:
            if response.status_code != 200:
                raise requests.HTTPError(f"{response.status_code} instead of 200", response=response)
            try:
                return expect(jsons.loads(response.content))
            except (ValueError, TypeError, LookupError) as error:
                raise UnexpectedAnswerError(f"not what was asked for: {error}", response=response) from error

        return self._guarded(read, "GET", url, options)

    def _guarded(
        self, read: Callable[[requests.Response], T], method: str, url: str, options: dict[str, Any]
    ) -> T:
        try:
            return self._asked(read, method, url, options)
        except (PartnerRefusedError, PartnerBusyError, PartnerDeadlineError):
            raise
        except BreakerOpenError as refusal:
            raise PartnerRefusedError.of(refusal) from None
        except BulkheadFullError as full:
            raise PartnerBusyError(full.name, retry_after=full.retry_after, reason=full.reason) from None
        except DeadlineExceededError as spent:
            raise PartnerDeadlineError(str(spent), before_call=spent.before_call) from spent

    def _asked(
        self, read: Callable[[requests.Response], T], method: str, url: str, options: dict[str, Any]
    ) -> T:
        guard = registry.guard(self.name, pool=self._pool, limit=self._total)
        with guard.calling("fetch", classify=classify):
            time_left = budget(self._total)
            deadline = Deadline(time_left)
            try:
                return read(self._exchange(method, url, options))
            except Exception as error:
                blamed = self._blamed(error, deadline, time_left)
                if blamed is error:
                    raise
                raise blamed from error

    def _blamed(self, error: Exception, deadline: Deadline, time_left: float) -> Exception:
        """Return the error to raise for `error`; `time_left` seconds were left when the call began."""
        if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
            return requests.ConnectionError(str(error))  # a file that cannot be opened, such as certificates
        # See Note [A wait that we cut short].
        ours = isinstance(error, requests.RequestException) and deadline.expired
        if not ours or time_left >= 0.9 * self._total:
            return error
        if time_left < self._total / 2:
            return PartnerDeadlineError(f"given up after {time_left:.1f} s")
        return CutShortError(f"given up after {time_left:.1f} s of {self._total:.1f}")

    def _exchange(self, method: str, url: str, options: dict[str, Any]) -> requests.Response:
        faults.inject(
            self.name, limit=self._total, error=requests.ConnectionError, timeout=requests.ReadTimeout
        )
        own = options.pop("timeout", None)
        with _PlainSession() as one_time:
            response = one_time.request(
                method,
                url,
                **options,
                stream=True,
                allow_redirects=False,
                timeout=own if conf.shadow() else (self._connect, self._total),
            )
            with response:
                # `content` and `json()` of the response read this.
                response._content = self._body(response)
        if response.status_code >= 500:
            raise requests.HTTPError(f"{response.status_code} {response.reason}", response=response)
        return response

    def _body(self, response: requests.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_content(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > self._most_bytes:
                raise AnswerTooLargeError(f"more than {self._most_bytes} bytes", response=response)
        return b"".join(chunks)


class _PlainSession(requests.Session):
    """A session for one request, without redirects and without settings from the environment.

    It is used once, because a kept connection may be dead, which would look like a failure.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.update({"Connection": "close", "Accept-Encoding": "identity"})
        if conf.shadow():
            return
        for scheme in ("http://", "https://"):
            self.mount(scheme, BoundedAdapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find no redirect: requests would read its whole body, even without following it."""


def _as_it_is(response: requests.Response) -> requests.Response:
    # The breaker counts this error; the caller gets the answer (`request`).
    if response.status_code >= 400:
        raise requests.HTTPError(f"{response.status_code} {response.reason}", response=response)
    return response
