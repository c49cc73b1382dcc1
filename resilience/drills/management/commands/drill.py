"""Break a dependency of the running server on purpose, under steady reads, and judge the answers."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resilience import conf, faults
from resilience.conf.project import base_dir
from resilience.drills import report, run, server
from resilience.drills.breaking import Target
from resilience.drills.options import RefusedError, planned
from resilience.drills.plan import Plan
from resilience.drills.run import Result, Second
from resilience.drills.sign_in import SignInError, SignIns
from resilience.drills.turn import noted, turn
from resilience.drills.verdict import judge
from resilience.operate.user import user

INTERRUPTED = 130
"""The exit status of an interrupted drill. 0: all objectives were met; 1: one was missed."""


class Command(BaseCommand):
    help = (
        "Let a share of the calls of a dependency fail for some seconds, on this host's server, while reads "
        "are sent at a steady rate before, during and after. Exit status: 0 all objectives were met, 1 one "
        "was missed, 2 refused, 3 no server's store here, 130 interrupted: the fault has ended first."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dependency", choices=[*conf.declared_breakers(), "all"])
        parser.add_argument(
            "--fault",
            choices=faults.KINDS + faults.REAL,
            default="error",
            help="kill and freeze break the real local server that --pid-file names",
        )
        parser.add_argument(
            "--pid-file", type=Path, help="pid file of a PostgreSQL or Redis server on this host"
        )
        parser.add_argument("--restart", default="", help="command that starts a killed server again (none)")
        parser.add_argument("--seconds", type=float, default=30.0, help="how long the fault lasts (30)")
        parser.add_argument(
            "--share", type=float, default=1.0, help="share of the calls that meet the fault, up to 1 (1)"
        )
        parser.add_argument(
            "--delay", type=float, default=1.0, help="seconds of a latency, or of each half of a flap (1)"
        )
        parser.add_argument(
            "--user",
            default="",
            help="user to sign in meanwhile; the password is in DRILL_PASSWORD, or is asked for; "
            "needed for auth",
        )
        parser.add_argument("--rate", type=float, default=20.0, help="reads per second (20)")
        parser.add_argument("--path", action="append", help="path to read; may be repeated (DRILL_PATHS)")
        parser.add_argument("--url", help="address of the server (http://127.0.0.1:PORT)")
        parser.add_argument("--around", type=float, default=10.0, help="seconds of reads on each side (10)")
        parser.add_argument("--report", type=Path, help="folder of the report (var/drills)")

    def handle(self, **options: Any) -> None:
        try:
            self._hold(options)
        except KeyboardInterrupt:
            raise CommandError("interrupted; nothing is broken", returncode=INTERRUPTED) from None

    def _hold(self, options: dict[str, Any]) -> None:
        plan = planned(options)
        folder = self._folder(options)
        sign_ins = self._sign_ins(plan)
        with self._target(plan, options) as target:
            if target is not None:
                self.stdout.write(
                    f"{target.server.program} (pid {target.server.pid}) meets the fault “{plan.kind}”"
                )
            result = self._run(plan, target, sign_ins)
        objectives = judge(result)
        self.stdout.write("")
        for name, seen in report.phases(result).items():
            reads, *times, sources = report.shown(report.summary(seen))
            self.stdout.write(f"{name:6}  {reads:>5} reads  p50, p99, slowest {', '.join(times)}  {sources}")
        if plan.user:
            for name, (count, slowest, answers) in report.sign_ins(result).items():
                self.stdout.write(f"{name:6}  {count:>5} sign-ins  slowest {slowest}  {answers}")
        self.stdout.write("")
        for objective in objectives:
            self.stdout.write(
                f"{'met   ' if objective.met else 'MISSED'}  {objective.name}: {objective.measured}"
            )
        try:
            page, data = report.write(folder, result, objectives)
        except OSError as error:
            raise CommandError(f"the report cannot be written: {error}", returncode=1) from error
        self.stdout.write(f"\nreport  {page}\n        {data}")
        if not all(objective.met for objective in objectives):
            raise CommandError("the drill was not passed", returncode=1)
        self.stdout.write("passed")

    def _run(self, plan: Plan, target: Target | None, sign_ins: SignIns | None) -> Result:
        who = user()
        try:
            with turn(who), noted() as halt:
                return run.run(
                    plan,
                    who=who,
                    tell=self._tell,
                    say=self._say,
                    halt=halt,
                    target=target,
                    sign_ins=sign_ins,
                )
        except KeyboardInterrupt:
            ended = "the fault has ended"
            if target is not None and plan.kind == "kill" and not target.server.running:
                ended = (
                    f"the server was killed: {'its start has begun' if target.restart else 'start it again'}"
                )
            raise CommandError(f"interrupted; {ended}", returncode=INTERRUPTED) from None
        except BrokenPipeError:
            raise CommandError("nobody listens; the fault has ended", returncode=INTERRUPTED) from None
        except (ValueError, RuntimeError) as error:
            raise RefusedError(str(error)) from error

    def _sign_ins(self, plan: Plan) -> SignIns | None:
        """Sign in the user whom the drill names, if any; refuse the drill if that fails."""
        if not plan.user:
            return None
        password = os.environ.get("DRILL_PASSWORD", "")
        if not password and sys.stdin.isatty():
            password = getpass.getpass(f"Password of {plan.user}: ")
        if not password:
            raise RefusedError("set DRILL_PASSWORD to the password of --user")
        sign_ins = SignIns(url=plan.url, user=plan.user, password=password)
        try:
            sign_ins.first()
        except SignInError as error:
            raise RefusedError(str(error)) from error
        needed = plan.seconds + run.interval(plan.names) + plan.around
        if sign_ins.lasts < needed:
            raise RefusedError(
                f"an access token lasts {sign_ins.lasts:g} s, and this drill {needed:g} s: shorten it"
            )
        return sign_ins

    def _folder(self, options: dict[str, Any]) -> Path:
        """Return the folder of the report; refuse one that cannot be written, before anything is broken."""
        folder: Path = options["report"] or base_dir() / "var" / "drills"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise RefusedError(f"no report can be written: {error}") from error
        return folder

    @contextmanager
    def _target(self, plan: Plan, options: dict[str, Any]) -> Iterator[Target | None]:
        """Hold the real server that the drill breaks, if it breaks one."""
        if plan.kind not in faults.REAL:
            yield None
            return
        try:
            found = server.found(plan.names[0], options["pid_file"])
        except server.PidFileError as error:
            raise RefusedError(str(error)) from error
        try:
            yield Target(server=found, restart=options["restart"])
        finally:
            found.close()

    def _say(self, text: str) -> None:
        """Say what the operator has to do."""
        self.stdout.write(f"        {text}")
        self.stdout.flush()

    def _tell(self, second: Second) -> None:
        """Write a line for a second as soon as that is over."""
        said = report.summary(second.answers)
        reads, _, _, slowest, sources = report.shown(said)
        states = " ".join(f"{name}:{state}" for name, state in second.states.items() if state != "CLOSED")
        self.stdout.write(
            f"{second.number:4} s  {second.phase:6}  {reads:>4} reads  slowest {slowest:>7}  "
            f"{sources:40}  {states or 'all closed'}"
        )
        self.stdout.flush()
