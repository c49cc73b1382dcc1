"""Tell whether a statement ends its transaction, or leaves something behind in the session."""

from __future__ import annotations

import re

from psycopg.sql import Composable

_USUAL = {"SELECT", "INSERT", "UPDATE", "DELETE"}
# Functions that alter the session. What a function of the project's own does is unknown.
_FUNCTIONS = ("set_config(", "pg_advisory_lock", "pg_try_advisory_lock")
# A statement begins with the text or a line, or after another statement or a comment.
_STATEMENTS = re.compile(
    r"(?:^|;|\*/)\s*(?:SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|RESET\b|DISCARD\b|LISTEN\b|LOAD\b"
    r"|PREPARE\s+(?!TRANSACTION\b)|CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\b|DECLARE\b[^;]*\bHOLD\b)",
    re.IGNORECASE | re.MULTILINE,
)
_END = re.compile(r"\s*(?:COMMIT|END|PREPARE\s+TRANSACTION)\b", re.IGNORECASE)


def is_end(sql: object) -> bool:
    """Tell whether a statement stores its transaction (COMMIT), or prepares to (PREPARE TRANSACTION)."""
    return isinstance(sql, str) and _END.match(sql) is not None


def alters_session(sql: object) -> bool:
    """Tell whether a statement changes what outlasts its transaction: settings, locks, temporary tables …"""
    if isinstance(sql, Composable):
        sql = sql.as_string(None)
    if not isinstance(sql, str):
        return True  # bytes, which Django never sends: not examined
    if any(name in sql for name in _FUNCTIONS):
        return True
    return sql.lstrip("( \t\r\n")[:6].upper() not in _USUAL and _STATEMENTS.search(sql) is not None
