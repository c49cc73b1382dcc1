"""Sign-in through its breaker and pool, whatever it is that knows the passwords.

In any project: `class Backend(GuardedBackend, ModelBackend)`, or LDAP's in the place of ModelBackend, and its
dotted path in AUTHENTICATION_BACKENDS. While sign-in is down `authenticate()` raises and never returns None,
so that nobody is told that their password is wrong.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import Error as DjangoDatabaseError
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from resilience import conf, faults, registry
from resilience.db import failures
from resilience.primitives import DeadlineExceededError, Outcome, RejectedError

P = ParamSpec("P")
T = TypeVar("T")

# A failure that has not opened the breaker may be over with the next call.
_SOON = 5.0
_DOWN = (OperationalError, InterfaceError, InternalError, DeadlineExceededError, OSError)


class NotAcceptedError(Exception):
    """What was presented to prove an identity is wrong: an answer of the service, no failure."""


class SignInUnavailableError(RejectedError):
    """Nobody can be signed in at present, whatever they present."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "auth",
            retry_after=retry_after,
            reason="sign-in is not available at the moment; the fault is ours, not in what you entered; "
            f"please try again in {max(1, round(retry_after))} s",
        )


def classify(error: BaseException) -> Outcome:
    """Tell what an error says about the health of sign-in. A fault of the caller's own code moves nothing."""
    if isinstance(error, NotAcceptedError | PermissionDenied):
        return Outcome.ANSWERED
    if isinstance(error, RejectedError):  # An inner guard's, the database's above all: counted there.
        return Outcome.IGNORED
    if isinstance(error, DeadlineExceededError):
        return Outcome.IGNORED if error.before_call else Outcome.FAILURE
    if isinstance(error, DjangoDatabaseError):
        return failures.classify(error)
    return Outcome.FAILURE if isinstance(error, OSError) else Outcome.IGNORED


class GuardedBackend(BaseBackend):
    """Ask the next of the class's bases through the breaker and the pool `auth`. To be named first of them.

    Raises RejectedError when they refuse, and whatever the next base raises.
    """

    @sensitive_variables()
    def authenticate(self, request: HttpRequest | None, *args: Any, **credentials: Any) -> User | None:
        """Return the user, or None when the credentials are wrong or of a kind for another backend."""
        try:
            inspect.signature(super().authenticate).bind(request, *args, **credentials)
        except TypeError:
            return None
        try:
            return guarded_call(self._ask, request, *args, **credentials)
        except NotAcceptedError:
            return None

    async def aauthenticate(self, request: HttpRequest | None, *args: Any, **credentials: Any) -> User | None:
        """Do the same in a thread: a guarded call blocks."""
        return await sync_to_async(self.authenticate)(request, *args, **credentials)

    @sensitive_variables()
    def _ask(self, request: HttpRequest | None, *args: Any, **credentials: Any) -> User:
        user = super().authenticate(request, *args, **credentials)
        if user is None:
            raise NotAcceptedError
        return user


@sensitive_variables()
def guarded_call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `fn`, which proves an identity, in the pool `auth`, by its breaker, within the budget of a write.

    `fn` raises NotAcceptedError for what it does not accept. Raises RejectedError when the call is not made.
    """
    # A command needs neither a place nor a deadline.
    server = registry.is_server()
    guard = (
        registry.guard("auth", pool="auth", limit=conf.deadline("write"))
        if server
        else registry.guard("auth")
    )
    with guard.calling("login", classify=classify):
        faults.inject("auth", limit=conf.deadline("write"))
        return fn(*args, **kwargs)


@contextmanager
def explained() -> Iterator[None]:
    """Turn every sign in the block that sign-in is down into one SignInUnavailableError.

    A refusal that is the client's own affair (its status is not 503, a limit's 429 say) passes through.
    """
    try:
        yield
    except RejectedError as error:
        if error.http_status != SignInUnavailableError.http_status:
            raise
        raise SignInUnavailableError(error.retry_after) from error
    except _DOWN as error:
        raise SignInUnavailableError(registry.breaker("auth").snapshot().retry_after or _SOON) from error


def probe() -> None:
    """Read one row of the table of users, as a sign-in would; raise what that raises."""
    faults.inject("auth", limit=conf.deadline("probe"))
    get_user_model()._default_manager.values_list("pk").first()
