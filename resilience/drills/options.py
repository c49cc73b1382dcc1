"""Turn the command's options into a plan, or refuse them before anything is broken."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError

from resilience import conf, faults, registry
from resilience.drills import load, server
from resilience.drills.plan import Plan
from resilience.primitives import StoreUnavailableError

REFUSED, NO_STORE = 2, 3
"""Exit statuses: the options are refused; there is no server here."""


class RefusedError(CommandError):
    """A drill that cannot be done like this; the message says why."""

    def __init__(self, why: str) -> None:
        super().__init__(why, returncode=REFUSED)


# The most reads: a report draws each answer, and all are held in memory.
_READS = 50_000
_MOST = {
    "seconds": faults.LONGEST,
    "share": 1.0,
    "delay": faults.LONGEST,
    "rate": 500.0,
    "around": faults.LONGEST,
}


def planned(options: dict[str, Any]) -> Plan:
    """Return the plan of the options; raise RefusedError if it cannot be carried out."""
    if not conf.faults_allowed():
        raise RefusedError('drills are off: RESILIENCE["DRILLS"] is not true here (DEBUG turns it on)')
    for name, most in _MOST.items():
        if not 0 < options[name] <= most:
            raise RefusedError(f"--{name} must be above 0 and at most {most:g}")
    _check_together(options)
    reads = options["rate"] * (options["seconds"] + 2 * options["around"])
    if reads > _READS:
        raise RefusedError(f"--rate, --seconds and --around make {reads:.0f} reads; {_READS} are the most")
    try:
        registry.host_store()
    except StoreUnavailableError as error:
        raise CommandError(str(error), returncode=NO_STORE) from error
    chosen = options["dependency"]
    names = list(conf.declared_breakers()) if chosen == "all" else [chosen]
    unserved = [name for name in names if name not in registry.served()]
    if unserved:
        raise CommandError(
            f"no server counts for {', '.join(unserved)} of these settings: start one, with the same",
            returncode=NO_STORE,
        )
    taken = [name for name in names if faults.current(name) is not None]
    if taken:
        raise RefusedError(f"a drill of {', '.join(taken)} is under way")
    url = options["url"] or f"http://127.0.0.1:{getattr(settings, 'PORT', 8000)}"
    if not _is_address(url):
        raise RefusedError(f"--url must be like http://127.0.0.1:8080, not {url!r}")
    paths = options["path"] or conf.get("DRILL_PATHS")
    if not paths:
        raise RefusedError('name the paths to read, by --path or in RESILIENCE["DRILL_PATHS"]')
    for path in paths:
        _check_readable(url, path)
    return Plan(
        names=names,
        kind=options["fault"],
        seconds=options["seconds"],
        share=options["share"],
        delay=options["delay"],
        url=url,
        paths=paths,
        rate=options["rate"],
        around=options["around"],
        user=options["user"],
    )


def _check_together(options: dict[str, Any]) -> None:
    """Refuse options that need each other, or contradict each other."""
    is_real = options["fault"] in faults.REAL
    if is_real and (options["pid_file"] is None or options["dependency"] not in server.PROGRAMS):
        raise RefusedError(f"--fault {options['fault']} needs --pid-file, and {' or '.join(server.PROGRAMS)}")
    if options["pid_file"] is not None and not is_real:
        raise RefusedError("--pid-file is for --fault kill and freeze alone")
    if options["restart"] and options["fault"] != "kill":
        raise RefusedError("--restart is for --fault kill alone")
    if options["user"] and is_real:
        # If a refresh is stored and its answer is lost, the next refresh looks like a theft.
        raise RefusedError("--user cannot be used with --fault kill or freeze")
    if options["dependency"] == "auth" and not options["user"]:
        raise RefusedError("without sign-ins no call meets the fault: give --user NAME and DRILL_PASSWORD")
    if options["user"] and not {"sign_in", "refresh"} <= conf.get("DRILL_SIGN_IN").keys():
        raise RefusedError('RESILIENCE["DRILL_SIGN_IN"] does not name the addresses of sign-in')
    try:
        shlex.split(options["restart"])
    except ValueError as error:
        raise RefusedError(f"--restart is no command: {error}") from error


def _check_readable(url: str, path: str) -> None:
    """Refuse an address that cannot be read, or that another kind of server answers."""
    if not path.startswith("/"):
        raise RefusedError(f"--path must begin with /, not {path!r}")
    status, headers, body = load.send(url, path.replace("{n}", "1"))
    why = ""
    if status == 0:
        why = body.decode(errors="replace")[:200]
    elif status != 200:
        why = f"it answers {status}"
    elif "x-system-degraded" not in headers:
        why = "the server there does not use resilience, so it is not the one to break"
    if why:
        raise RefusedError(f"{url}{path} cannot be read before the drill: {why}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    # A user and a password in it would be in the report.
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and "@" not in parts.netloc
    )
