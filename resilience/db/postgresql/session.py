"""What a statement does beyond its own work: end a transaction, or leave something behind in the session."""

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
_END = re.compile(r"\s*(?:COMMIT|END|PREPARE\s+TRANSACTION)\b", re.IGNORECASE)


def is_end(sql: object) -> bool:
    """Tell whether a statement stores the transaction that it is part of, or promises to."""
    return isinstance(sql, str) and _END.match(sql) is not None


def alters_session(sql: object) -> bool:
    """Tell whether a statement changes more than its transaction: settings, locks, temporary tables …"""
    if isinstance(sql, Composable):
        sql = sql.as_string(None)
    if not isinstance(sql, str):
        return True  # bytes: not Django's, and not looked into
    if any(name in sql for name in _FUNCTIONS):
        return True
    return sql.lstrip("( \t\r\n")[:6].upper() not in _USUAL and _STATEMENTS.search(sql) is not None
