"""Events say what happened, when, by whom and why. Each is written into the host's journal at once."""

from __future__ import annotations

import hashlib
import logging
import math
import re
import socket
import time
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

from resilience import registry
from resilience.causes import without_userinfo
from resilience.journal.files import journal
from resilience.primitives import Transition
from resilience.primitives.store.mapped import boot_id

logger = logging.getLogger("resilience.events")

# The most fields of one event, and the most characters of a name and of a text in it.
_FIELDS = 16
_NAME, _TEXT = 64, 200

_KIND = re.compile(r"[^a-z_]")
_SECRET = re.compile("password|passwd|secret|token|cookie|authorization|api_?key", re.IGNORECASE)

# Whether the last event of this process could not be written. The log gets a line only when this changes.
_dropping = False


def record(
    kind: str, *, breaker: str = "", who: str = "", why: str = "", at: float | None = None, **fields: object
) -> bool:
    """Write an event into the journal. Never raises: returns False, and counts it, if the event was dropped.

    `kind` is a word or two, such as `transition` or `export_done`. `at` is wall seconds, now by default.
    Texts are cut to 200 characters. Credentials in addresses are left out, and the values of fields that are
    named like a secret are hidden.
    """
    kind = _KIND.sub("_", kind)[:32]
    entry = {
        "kind": kind,
        "breaker": _text(breaker, _NAME),
        "who": _text(who, _NAME),
        "why": _text(why, _TEXT),
        "data": {_text(name, _NAME): _value(name, fields[name]) for name in list(fields)[:_FIELDS]},
    }
    return write(entry, at=at)


def heard(transition: Transition) -> None:
    """Record a breaker's change; the event's kind is the operator's order, or `transition` without one.

    In shadow it is `shadow`, since nobody sees the breaker change: the history has no outage then.
    """
    record(
        transition.order or ("shadow" if transition.shadow else "transition"),
        breaker=transition.name,
        who=transition.who,
        why=transition.why,
        at=transition.at,
        before=transition.before.value,
        after=transition.after.value,
        generation=transition.generation,
        reason=transition.reason,
        cause=transition.cause,
        until=transition.until,
        uptime=registry.clock().monotonic(),
        boot=_boot(),
    )


def table_lock(*, breaker: str, table: str, locked: bool, seconds: float, **_: object) -> None:
    """Record that a table is locked by another client, or that it can be read again after `seconds`."""
    record(
        "table_locked" if locked else "table_free",
        breaker=breaker,
        why=f"another client has locked {table}"
        if locked
        else f"{table} is read again after {seconds:.0f} s",
        table=table,
        seconds=round(seconds, 1),
    )


def write(entry: Mapping[str, Any], *, at: float | None = None) -> bool:
    """Write an entry whose texts are cut already, and add id, time and host; count it by kind or as dropped.

    Returns False if it was dropped. `at` is wall seconds, now by default.
    """
    global _dropping
    stamped = {
        "id": str(uuid.uuid4()),
        "at": time.time() if at is None else at,
        "host": hostname(),
        **entry,
    }
    try:
        journal().append(stamped)
    except Exception as error:  # of any kind: an event that cannot be written must not harm the caller
        _count("dropped", "events")
        if not _dropping:
            logger.error("events are dropped, and counted: %s", error)  # noqa: TRY400 - a full disk is no bug
        _dropping = True
        return False
    _count("events", entry["kind"])
    if _dropping:
        logger.warning("events are written again")
    _dropping = False
    return True


@cache
def _boot() -> str:
    """Return a name of this boot of the host. The `uptime` of two events can be compared within one boot."""
    return hashlib.blake2b(boot_id(), digest_size=4).hexdigest()


def hostname() -> str:
    """Return this host's name as it stands in events."""
    return socket.gethostname()[:_NAME]


def _count(*labels: str) -> None:
    try:
        registry.store().counters.add(*labels)
    except Exception:
        logger.exception("an event could not be counted")


def _value(name: str, value: object) -> bool | int | float | str | None:
    if _SECRET.search(name):
        return "hidden"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _text(str(value), _TEXT)


def _text(value: str, most: int) -> str:
    """Cut a text to `most` characters.

    Credentials are left out, and what databases refuse: NUL and lone surrogates.
    """
    hidden = without_userinfo(str(value)[: most * 4])
    return hidden.replace("\0", "").encode(errors="replace").decode()[:most]
