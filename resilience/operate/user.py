"""Who runs a command, for what it writes down."""

import getpass
import os


def user() -> str:
    """Return a name, or the number of a user without one, as containers have them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        return str(os.geteuid())
