"""`make settings-page`: write the tables of `docs/settings.md` anew."""

import django

django.setup()

from tests.docs.settings_page import PAGE, made  # noqa: E402 - it names functions of apps

PAGE.write_text(made())
