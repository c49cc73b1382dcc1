import sys

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from learn.refolding import renew


def forwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    models = [apps.get_model("learn", name) for name in ("category", "field", "course")]
    renew(models, editor.connection.alias, lambda line: sys.stdout.write(f"\n    {line}: its id is in its identity"))


class Migration(migrations.Migration):
    """Renew title_sort, search_text, level_key and identity. Rows stay in their batches, whatever comes later."""

    atomic = False
    dependencies = [("learn", "0004_covering_indexes")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
