"""Sign-in behind its guard, for any backend that checks passwords.

A project defines `class Backend(GuardedBackend, ModelBackend)`, or with LDAP's backend in the place of
ModelBackend, and names it in AUTHENTICATION_BACKENDS. While sign-in is down `authenticate()` raises and never
returns None, so that nobody is told that their password is wrong.
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
from resilience.db.outages import is_busy
from resilience.primitives import DeadlineExceededError, Outcome, RejectedError

P = ParamSpec("P")
T = TypeVar("T")

# Seconds to wait after a failure that has not opened the breaker.
_SOON = 5.0
# By whether the site is only busy.
_WHY_NOT = ("sign-in is not available at the moment", "the site is too busy to sign you in at the moment")
_DOWN = (OperationalError, InterfaceError, InternalError, DeadlineExceededError, OSError)


class NotAcceptedError(Exception):
    """The credentials are wrong: an answer of the service, not a failure."""


class SignInUnavailableError(RejectedError):
    """Nobody can be signed in at the moment, even with the right credentials."""

    def __init__(self, retry_after: float, *, busy: bool = False) -> None:
        super().__init__(
            "auth",
            retry_after=retry_after,
            reason=f"{_WHY_NOT[busy]}; the fault is ours, not in what you entered; "
            f"please try again in {max(1, round(retry_after))} s",
        )
        self.busy = busy


def classify(error: BaseException) -> Outcome:
    """Return what an error of sign-in counts as. A bug in the caller's code is ignored."""
    if isinstance(error, NotAcceptedError | PermissionDenied):
        return Outcome.ANSWERED
    if isinstance(error, RejectedError):  # refused by an inner guard, mostly the database's
        return Outcome.IGNORED
    if isinstance(error, DeadlineExceededError):
        return Outcome.IGNORED if error.before_call else Outcome.FAILURE
    if isinstance(error, DjangoDatabaseError):
        return failures.classify(error)
    return Outcome.FAILURE if isinstance(error, OSError) else Outcome.IGNORED


class GuardedBackend(BaseBackend):
    """Call `authenticate` of the next base class behind the guard `auth`. Name this class first of the bases.

    Raises RejectedError if the guard refuses, and whatever the next base class raises.
    """

    @sensitive_variables()
    def authenticate(self, request: HttpRequest | None, *args: Any, **credentials: Any) -> User | None:
        """Return the user, or None if the credentials are wrong or are for another kind of backend."""
        try:
            inspect.signature(super().authenticate).bind(request, *args, **credentials)
        except TypeError:
            return None
        try:
            return guarded_call(self._ask, request, *args, **credentials)
        except NotAcceptedError:
            return None

    async def aauthenticate(self, request: HttpRequest | None, *args: Any, **credentials: Any) -> User | None:
        """Do the same in a thread, since a guarded call blocks."""
        return await sync_to_async(self.authenticate)(request, *args, **credentials)

    @sensitive_variables()
    def _ask(self, request: HttpRequest | None, *args: Any, **credentials: Any) -> User:
        user = super().authenticate(request, *args, **credentials)
        if user is None:
            raise NotAcceptedError
        return user


@sensitive_variables()
def guarded_call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `fn`, which checks credentials, behind the guard `auth` and within the budget of a write.

    `fn` must raise NotAcceptedError for wrong credentials. Raises RejectedError if the call is not made.
    """
    guard = registry.guard("auth")
    if registry.is_server():  # A command needs neither a place nor a deadline.
        guard = registry.guard("auth", pool="auth", limit=conf.deadline("write"))
    with guard.calling("login", classify=classify):
        faults.inject("auth", limit=conf.deadline("write"))
        return fn(*args, **kwargs)


@contextmanager
def explained() -> Iterator[None]:
    """Turn each error in the block that means that sign-in is down into SignInUnavailableError.

    A refusal that the client has caused (its status is not 503 but 429, for example) passes unchanged.
    """
    try:
        yield
    except RejectedError as error:
        if error.http_status != SignInUnavailableError.http_status:
            raise
        raise SignInUnavailableError(error.retry_after, busy=error.busy) from error
    except _DOWN as error:
        seconds = registry.breaker("auth").snapshot().retry_after or _SOON
        raise SignInUnavailableError(seconds, busy=is_busy(error)) from error


def probe() -> None:
    """Read one row of the table of users, like a sign-in. Raises the database's error."""
    faults.inject("auth", limit=conf.deadline("probe"))
    get_user_model()._default_manager.values_list("pk").first()
