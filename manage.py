#!/usr/bin/env python
"""Run Django's commands for this project."""

import os
import sys


def main() -> None:
    """Run one command; without DATABASE_URL this is a local run, so DEBUG is on."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zenow.settings.base")
    if "DATABASE_URL" not in os.environ:
        os.environ.setdefault("DEBUG", "1")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{sys.argv[0]}: {error}")


if __name__ == "__main__":
    main()
