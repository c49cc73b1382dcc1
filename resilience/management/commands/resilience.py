"""`manage.py resilience try`: what an outage of the database brings at an address, shown by one."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from resilience import registry
from resilience.adopting import trial
from resilience.adopting.trial import Answer, Ask, TrialError
from resilience.operate.orders import OrderError, StoreBusyError
from resilience.operate.user import user
from resilience.primitives import StoreUnavailableError

_MOST = 60.0


class Command(BaseCommand):
    help = (
        "try ADDRESS: isolate the database for ten seconds, ask the address before, during and after, and "
        "show what came back. A path is asked within this process, and nobody else sees the isolation. A URL "
        "is asked of a running server of this host, where all requests meet it. Ctrl-C ends it, and so does "
        "its own time. Exit status: 0 done, 1 nothing was tried, or what answered did not see the isolation."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["try"])
        parser.add_argument("address", help="a path such as /products/, or the URL of a server of this host")
        parser.add_argument(
            "--seconds", type=float, default=10.0, help="of isolation, up to 60 (default: 10)"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask where DEBUG is off")

    def handle(self, *, address: str, seconds: float, yes: bool, **options: Any) -> None:
        if not 0 < seconds <= _MOST:
            raise CommandError(f"--seconds must be above 0 and at most {_MOST:g}")
        local = address.startswith("/")
        if not (local or settings.DEBUG or yes) and not self._confirmed(address, seconds):
            raise CommandError("nothing was tried")
        try:
            with _asking(address) as ask:
                self._show(ask, seconds)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted: the isolation has ended.")
            sys.exit(1)
        except (TrialError, OrderError, StoreBusyError, StoreUnavailableError) as error:
            raise CommandError(str(error)) from error

    def _show(self, ask: Ask, seconds: float) -> None:
        during: list[Answer] = []
        with closing(trial.trial(ask, seconds=seconds, who=user())) as answers:
            for answer in answers:
                self.stdout.write(_line(answer))
                self.stdout.flush()
                during += [answer] if answer.when == "during" and answer.saw_the_order else []
        self.stdout.write(_summary(during))

    def _confirmed(self, address: str, seconds: float) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("DEBUG is off, and nobody can be asked: say --yes")
        question = f"For {seconds:g} s no request on this host would reach the database. Try it? [y/N] "
        return input(question).strip().lower() in ("y", "yes")


@contextmanager
def _asking(address: str) -> Iterator[Ask]:
    if address.startswith("/"):
        with trial.in_process(address) as ask:
            yield ask
    else:
        ask = trial.over_http(address)
        registry.host_store()
        yield ask


def _line(answer: Answer) -> str:
    told = ", ".join(f"{name}: {answer.headers[name]}" for name in trial.TOLD if name in answer.headers)
    return f"{answer.when:<7} {answer.status} in {1000 * answer.seconds:.0f} ms  {told}".rstrip()


def _summary(during: list[Answer]) -> str:
    """Return a sentence on what the isolation has brought."""
    if not during:
        return "No answer came before the isolation had ended: take more --seconds."
    well = sum(answer.answered for answer in during)
    if well == len(during):
        return f"All {well} requests of the isolation were answered."
    refused = sum(answer.status == 503 for answer in during)
    return (
        f"Of {len(during)} requests of the isolation {well} were answered, and {refused} told to come back "
        "(503). A view that is marked for it has stand-ins: see docs/adopting.md."
    )
