"""Search for words: a lookup that uses each database's own index, and a migration that builds the index."""

from django.contrib.postgres.operations import TrigramExtension
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunPython
from django.db.migrations.state import ProjectState, StateApps
from django.db.models.sql.compiler import SQLCompiler
from django.db.utils import DatabaseError, OperationalError

TRIGRAM = 3


class SearchTextField(models.TextField):  # type: ignore[type-arg]
    """Hold the normalised text that is searched. The table needs a `SearchIndex`."""


@SearchTextField.register_lookup
class HasWord(models.Lookup):
    """Match rows whose normalised text contains one normalised word, byte by byte.

    PostgreSQL uses its trigram index by itself. SQLite's FTS5 must be named in the query, and has no words of
    less than three characters (common in Chinese and Japanese): those are searched in the text itself.
    """

    lookup_name = "has"
    prepare_rhs = False

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        """Compile to LIKE with its wildcards escaped."""
        column, params = self.process_lhs(compiler, connection)
        return f"{column} LIKE %s", (*params, f"%{connection.ops.prep_for_like_query(self.rhs)}%")

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        """Compile to FTS5's MATCH, or to instr() for a short word (LIKE would ignore case again)."""
        column, params = self.process_lhs(compiler, connection)
        if len(self.rhs) < TRIGRAM:
            return f"instr({column}, %s) > 0", (*params, self.rhs)
        quote = connection.ops.quote_name
        model = self.lhs.target.model
        index, table, key = quote(_fts(model)), quote(self.lhs.alias), quote(model._meta.pk.column)
        phrase = '"' + self.rhs.replace('"', '""') + '"'
        return (
            f"{table}.{key} IN (SELECT rowid FROM {index} WHERE {index} MATCH %s)",  # noqa: S608 (names are quoted)
            (*params, phrase),
        )


def _fts(model: type[models.Model]) -> str:
    return f"{model._meta.db_table}_fts"


class CreateTrigramExtension(TrigramExtension):
    """Create the extension `pg_trgm` on PostgreSQL; if the user may not, say what has to be done."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create the extension unless it exists.

        Raises ImproperlyConfigured, with the statement to run, if PostgreSQL refuses.
        """
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        except OperationalError:
            raise
        except DatabaseError as error:
            settings = schema_editor.connection.settings_dict
            raise ImproperlyConfigured(
                f"PostgreSQL did not let user {settings['USER']!r} create the extension pg_trgm: "
                f"{str(error).strip()}. Search needs it: let an administrator run CREATE EXTENSION pg_trgm "
                f"in database {settings['NAME']!r}, then run migrate again."
            ) from error


# By vendor, what drops the index and what builds it. Triggers keep it up to date with every write: by save(),
# bulk_create(), loaddata or a shell.
_STATEMENTS = {
    "sqlite": (
        (
            "DROP TRIGGER IF EXISTS {table}_fts_insert",
            "DROP TRIGGER IF EXISTS {table}_fts_delete",
            "DROP TRIGGER IF EXISTS {table}_fts_update",
            "DROP TABLE IF EXISTS {fts}",
        ),
        (
            "CREATE VIRTUAL TABLE {fts} USING fts5(search_text, content='{table}', content_rowid='{key}', "
            "tokenize='trigram case_sensitive 1', columnsize=0)",
            "CREATE TRIGGER {table}_fts_insert AFTER INSERT ON {table} BEGIN "
            "INSERT INTO {fts}(rowid, search_text) VALUES (new.{key}, new.search_text); END",
            "CREATE TRIGGER {table}_fts_delete AFTER DELETE ON {table} BEGIN "
            "INSERT INTO {fts}({fts}, rowid, search_text) VALUES ('delete', old.{key}, old.search_text); END",
            "CREATE TRIGGER {table}_fts_update AFTER UPDATE OF {key}, search_text ON {table} "
            "WHEN old.search_text <> new.search_text OR old.{key} <> new.{key} BEGIN "
            "INSERT INTO {fts}({fts}, rowid, search_text) VALUES ('delete', old.{key}, old.search_text); "
            "INSERT INTO {fts}(rowid, search_text) VALUES (new.{key}, new.search_text); END",
            "INSERT INTO {fts}({fts}) VALUES ('rebuild')",
        ),
    ),
    "postgresql": (
        ("DROP INDEX IF EXISTS {table}_search_trgm",),
        ("CREATE INDEX {table}_search_trgm ON {table} USING gin (search_text gin_trgm_ops)",),
    ),
}


class SearchIndex(RunPython):
    """Build the trigram index of a model's `search_text`: GIN on PostgreSQL, FTS5 and its triggers on SQLite.

    A later migration that makes SQLite rebuild the table (AlterField, for example) drops the triggers, so it
    must end with this operation. A test fails if the index no longer follows the table.
    """

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        super().__init__(self._build, self._drop)

    def deconstruct(self) -> tuple[str, list[str], dict[str, str]]:
        """Return how a migration writes it; Django's own would write the methods."""
        return type(self).__name__, [self.model_name], {}

    def describe(self) -> str:
        """Say in `migrate`'s output what is built."""
        return f"Build the search index of {self.model_name}"

    def _build(self, apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        self._drop(apps, editor)
        self._run(1, apps, editor)

    def _drop(self, apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        self._run(0, apps, editor)

    def _run(self, which: int, apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        model = apps.get_model("learn", self.model_name)
        names = {"table": model._meta.db_table, "fts": _fts(model), "key": model._meta.pk.column}
        for statement in _STATEMENTS[editor.connection.vendor][which]:
            editor.execute(statement.format(**names), params=None)
