"""Ask one source after the other until one answers, and remember why the earlier ones did not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from resilience.primitives.errors import DeadlineExceededError, RejectedError, ResilienceError

T = TypeVar("T")
PassedOver = tuple[tuple[str, str], ...]


class TierUnavailableError(ResilienceError):
    """Raise it in a tier that has nothing to answer with, for instance because nothing is stored."""


class NoTierAnsweredError(ResilienceError):
    """Say that every tier was passed over; `passed_over` tells why, in order."""

    def __init__(self, passed_over: PassedOver) -> None:
        super().__init__(
            "no tier answered: " + "; ".join(f"{tier}: {reason}" for tier, reason in passed_over)
        )
        self.passed_over = passed_over


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer(Generic[T]):
    """Hold what the tier `source` answered, and `(tier, reason)` for each one that was passed over."""

    source: str
    value: T
    passed_over: PassedOver


@dataclass(frozen=True, slots=True)
class Tier(Generic[T]):
    """Name one source. `run` returns its whole answer: a tier has answered when its bytes exist."""

    name: str
    run: Callable[..., T]


def passes(error: Exception) -> str | None:
    """Give the reason why `error` lets the next tier try, or `None` when the error is itself the answer."""
    if isinstance(error, RejectedError):
        return error.reason
    if isinstance(error, DeadlineExceededError):
        return "deadline exceeded"
    if isinstance(error, ResilienceError):
        return str(error)
    return None


class Chain(Generic[T]):
    """Hold the ordered tiers of one kind of answer.

    `passes(error)` gives the reason to pass a tier over, or `None` to raise: a client's mistake is answered
    by the first tier that notices it, not hidden by the next one. Raises `ValueError` without tiers or when
    two have the same name.
    """

    def __init__(
        self, tiers: Sequence[Tier[T]], *, passes: Callable[[Exception], str | None] = passes
    ) -> None:
        names = [tier.name for tier in tiers]
        if not names:
            raise ValueError("tiers must not be empty: nothing could ever answer")
        if len(set(names)) < len(names):
            raise ValueError(f"tiers must have names of their own, not {names}: reasons would be ambiguous")
        self.tiers = tuple(tiers)
        self._passes = passes

    def run(self, *args: Any, **kwargs: Any) -> Answer[T]:
        """Return the first answer; each tier's `run` gets the arguments.

        Raises `NoTierAnsweredError` from the first tier's error, and any error that is not to be passed over.
        """
        passed_over: list[tuple[str, str]] = []
        first: Exception | None = None
        try:
            for tier in self.tiers:
                try:
                    value = tier.run(*args, **kwargs)
                except Exception as error:
                    reason = self._passes(error)
                    if reason is None:
                        raise
                    passed_over.append((tier.name, reason))
                    first = error if first is None else first
                else:
                    return Answer(source=tier.name, value=value, passed_over=tuple(passed_over))
            raise NoTierAnsweredError(tuple(passed_over)) from first
        finally:
            first = (
                None  # Its traceback holds this frame: together they would live until the next collection.
            )
