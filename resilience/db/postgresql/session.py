"""Which statements leave something behind in the session, for whoever uses the connection next."""

from __future__ import annotations

import re

from psycopg.sql import Composable

_USUAL = {"SELECT", "INSERT", "UPDATE", "DELETE"}
# Of functions only these are known: what a function of the project's own does, nobody can tell by its name.
_FUNCTIONS = ("set_config(", "pg_advisory_lock", "pg_try_advisory_lock")
# At the start of a statement: of the text, of a line, after another statement or a comment.
_STATEMENTS = re.compile(
    r"(?:^|;|\*/)\s*(?:SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|RESET\b|DISCARD\b|LISTEN\b|LOAD\b"
    r"|PREPARE\s+(?!TRANSACTION\b)|CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\b|DECLARE\b[^;]*\bHOLD\b)",
    re.IGNORECASE | re.MULTILINE,
)


def alters_session(sql: object) -> bool:
    """Tell whether a statement changes more than its transaction: settings, locks, temporary tables …"""
    if isinstance(sql, Composable):
        sql = sql.as_string(None)
    if not isinstance(sql, str):
        return True  # bytes: not Django's, and not looked into
    if any(name in sql for name in _FUNCTIONS):
        return True
    return sql.lstrip("( \t\r\n")[:6].upper() not in _USUAL and _STATEMENTS.search(sql) is not None
