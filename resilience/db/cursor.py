"""A cursor whose queries and fetches go through the breaker of their database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db.backends.utils import CursorDebugWrapper, CursorWrapper

from resilience.db import faults
from resilience.db.measure import Measured

if TYPE_CHECKING:
    from resilience.db.wrapper import GuardedWrapper
    from resilience.primitives import Admission


class GuardedCursor(CursorWrapper):
    """Measure each method that waits for the database. Otherwise it is Django's cursor.

    A method or attribute that is defined here hides that of the driver's cursor with the same name.
    """

    db: GuardedWrapper
    _admission: Admission | None = None  # of the last query

    def _execute(self, sql: Any, params: Any, *ignored: Any) -> Any:
        with self._measured(sql):
            faults.inject(self.db.breaker_name)
            return super()._execute(sql, params)  # type: ignore[misc]  # the stubs leave it out

    def _executemany(self, sql: Any, param_list: Any, *ignored: Any) -> Any:
        with self._measured(sql):
            faults.inject(self.db.breaker_name)
            return super()._executemany(sql, param_list)  # type: ignore[misc]  # as above

    def callproc(self, procname: Any, params: Any = None, kparams: Any = None) -> Any:
        with self._measured(None):
            faults.inject(self.db.breaker_name)
            return super().callproc(procname, params, kparams)

    def close(self) -> None:
        """Close it, unless its connection is gone: SQLite would raise an error that hides the first one."""
        if self.db.connection is not None:
            self.cursor.close()

    def _measured(self, sql: object, *, timed: bool = True) -> Measured:
        db = self.db
        self._admission = admission = db.admitted()
        return Measured(db, admission, "query", counts=not db.controlling, sql=sql, timed=timed)

    def fetchone(self) -> Any:
        return self._fetch(self.cursor.fetchone)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        return self._fetch(self.cursor.fetchmany, *args, **kwargs)

    def fetchall(self) -> Any:
        return self._fetch(self.cursor.fetchall)

    def __iter__(self) -> Iterator[Any]:
        rows = iter(self.cursor)
        end = object()
        while (row := self._fetch(next, rows, end)) is not end:
            yield row

    def _fetch(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # See Note [What counts as a call]
        if self._admission is None:  # nothing was executed yet: the driver raises the error for that
            with self.db.wrap_database_errors:
                return run(*args, **kwargs)
        with Measured(self.db, self._admission, "fetch"), self.db.wrap_database_errors:
            return run(*args, **kwargs)


class GuardedDebugCursor(GuardedCursor, CursorDebugWrapper):
    """The same, with Django's log of queries."""

    @contextmanager
    def debug_sql(
        self, sql: Any = None, params: Any = None, use_last_executed_query: bool = False, many: bool = False
    ) -> Iterator[None]:
        failure: BaseException | None = None
        try:
            with super().debug_sql(sql, params, use_last_executed_query, many):
                try:
                    yield
                except BaseException as error:
                    failure = error
                    raise
        except AttributeError:
            if failure is None:
                raise
            # Django asks the connection for the query's text, and a dead connection is already gone. So the
            # log of queries lacks this one.
            raise failure from failure.__cause__
