from django.db import migrations

from learn.search import CreateTrigramExtension, SearchIndex


class Migration(migrations.Migration):
    dependencies = [("learn", "0001_initial")]

    operations = [
        CreateTrigramExtension(),
        SearchIndex("category"),
        SearchIndex("field"),
        SearchIndex("course"),
    ]
