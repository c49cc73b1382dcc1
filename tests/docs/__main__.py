"""`make settings-page`: write the tables of `docs/settings.md` and `docs/capacity.md` from the code."""

import django

django.setup()

from tests.docs import capacity_page, settings_page  # noqa: E402 - they name functions of apps

for page in (settings_page, capacity_page):
    page.PAGE.write_text(page.made())
