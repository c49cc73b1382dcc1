"""Connect to PostgreSQL, directly or through a pooler, and give each connection its settings."""

from __future__ import annotations

import logging
from contextlib import closing
from types import ModuleType
from typing import TYPE_CHECKING, Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql import base

from resilience import conf, registry
from resilience.db.connection import DeadlineConnection
from resilience.db.postgresql import limits
from resilience.db.set_local import SetLocalConnection
from resilience.db.wrapper import GuardedWrapper
from resilience.primitives import current_deadline

logger = logging.getLogger(__name__)

# How many times the sessions of two connections are compared: a third client may come between.
_TURNS = 2

if TYPE_CHECKING:

    class _DjangosWrapper(base.DatabaseWrapper):  # with what Django's type stubs leave out
        def _configure_timezone(self, connection: Any) -> bool: ...
        def _configure_role(self, connection: Any) -> bool: ...
else:
    _DjangosWrapper = object


class ConnectingWrapper(GuardedWrapper, _DjangosWrapper):
    """Give the database server its limits when connecting, and keep nothing in a session that is shared.

    Commands connect in the same way and to the same address as server processes, but without limits.
    """

    # Whether a database server has refused the setting; then no connection of this process asks for it.
    _without_check_interval = False

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        if self.is_pooled_by_django():
            return params  # its connections are psycopg's, and cannot be asked whether ours arrived
        own: dict[str, str] = {limits.MARK: registry.role()}
        if registry.enforces():
            own |= limits.own(check_interval=not self._without_check_interval)
        # Ours come first, so that a project's own options, further right, win.
        params["options"] = f"{limits.as_options(own)} {params.get('options', '')}".rstrip()
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.is_pooled_by_django():
            return super().get_new_connection(conn_params)
        try:
            connection = self._connected(conn_params)
        except psycopg.Error as error:
            # PostgreSQL 13 does not know this setting, and on systems other than Linux it must be 0.
            if self._without_check_interval or limits.CHECK_INTERVAL not in str(error):
                raise
            logger.warning(
                "the server takes no %s: abandoned queries end by statement_timeout", limits.CHECK_INTERVAL
            )
            type(self)._without_check_interval = True
            connection = self._connected(self.get_connection_params())
        if isinstance(connection, DeadlineConnection):
            connection.limit = conf.deadline("read")
            connection.commit_floor = conf.deadline("commit")
        return connection

    def _connected(self, params: dict[str, Any]) -> Any:
        address = limits.address_of(params)
        with limits.looking(address) as look:
            way = limits.known(address)
            try:
                connection = None
                if look or (way is not None and way.takes_options):
                    connection = self._by_options(params, way, look=look)
                if connection is None:
                    return self._by_set_local(params, way, look=look)
            except psycopg.Error:
                limits.doubt(address)
                raise
            return connection

    def _by_options(self, params: dict[str, Any], way: limits.Way | None, *, look: bool) -> Any:
        """Connect with start-up parameters; return None if they are refused or dropped."""
        try:
            connection = super().get_new_connection(params)
        except psycopg.OperationalError as error:
            if limits.may_be_refused(way, error):
                return None
            raise
        if not look:
            return connection
        try:
            arrived = connection.ask(f"SELECT current_setting('{limits.MARK}', true)") == registry.role()
        except BaseException:
            connection.close()
            raise
        if not arrived:
            connection.close()
            return None
        limits.learn(limits.address_of(params), takes_options=True)
        return connection

    def _by_set_local(self, params: dict[str, Any], way: limits.Way | None, *, look: bool) -> Any:
        """Connect without start-up parameters, and give the settings to each transaction."""
        without = {name: value for name, value in params.items() if name != "options"}
        connection = super().get_new_connection(without)
        try:
            connection.share_session(self._settings(params["options"]))
            if look or (way is not None and way.takes_options):
                way = self._found(connection, without, way)
            connection.holds_session = way is None or way.holds_session
        except BaseException:
            connection.close()
            raise
        return connection

    def _found(self, connection: Any, params: dict[str, Any], before: limits.Way | None) -> limits.Way:
        """Try the settings in a transaction, which not every pooler allows; remember what was found."""
        connection.execute("SELECT 1")
        connection.commit()
        if before is None or before.takes_options:
            logger.info(
                "DATABASES[%r] takes no start-up parameters: limits go into each transaction", self.alias
            )
        # A command keeps no idle connections, and need not know.
        holds = registry.enforces() and self._holds_session(connection, params)
        return limits.learn(limits.address_of(params), takes_options=False, holds_session=holds)

    def _holds_session(self, connection: Any, params: dict[str, Any]) -> bool:
        """Tell whether a client keeps its session while it is idle, as in PgBouncer's session mode.

        Otherwise two connections that take turns are given the same session.
        """
        asked = "SELECT pg_backend_pid()"
        try:
            with closing(super().get_new_connection(params)) as other:
                return all(connection.ask(asked) != other.ask(asked) for _ in range(_TURNS))
        except psycopg.Error:
            return True  # perhaps there was no other session to give

    def _settings(self, options: str) -> dict[str, str]:
        try:
            return limits.as_settings(options)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"DATABASES[{self.alias!r}]['OPTIONS']['options'] holds {str(error)!r}. The server takes no "
                "start-up parameters, as behind a pooler, and only '-c name=value' can be set otherwise."
            ) from None

    # --- What Django sets for a session ---

    def shares_session(self) -> bool:
        """Tell whether the connection's session belongs to a pooler, which lends it to others, too."""
        return isinstance(self.connection, SetLocalConnection) and self.connection.local is not None

    def _configure_timezone(self, connection: Any) -> bool:
        if not self.shares_session():
            return super()._configure_timezone(connection)
        if (name := self.timezone_name) and (
            "TimeZone" in connection.local or connection.info.parameter_status("TimeZone") != name
        ):
            connection.share_session({**connection.local, "TimeZone": name})
        return False

    def _configure_role(self, connection: Any) -> bool:
        if not self.shares_session():
            return super()._configure_role(connection)
        if role := self.settings_dict["OPTIONS"].get("assume_role"):
            connection.share_session({**connection.local, "role": role})
        return False

    def chunked_cursor(self) -> Any:
        """As Django's, but no server-side cursor outside a transaction: it would live in a shared session."""
        self.ensure_connection()
        return self.cursor() if self.shares_session() and self.autocommit else super().chunked_cursor()


def _connect(conninfo: str = "", **kwargs: Any) -> psycopg.Connection[Any]:
    return (DeadlineConnection if _is_bounded() else SetLocalConnection).connect(conninfo, **kwargs)


def _is_bounded() -> bool:
    """Tell whether waits on a new connection end in time. In shadow only those of the steward do."""
    return registry.enforces() or (registry.is_server() and current_deadline() is not None)


def guarded_driver() -> ModuleType:
    """Return psycopg with ``connect`` replaced: only by that does Django choose the class of a connection."""
    driver = ModuleType("psycopg")
    driver.__dict__.update(vars(psycopg), connect=_connect)
    return driver
