"""The user who runs a command, for the journal."""

import getpass
import os


def user() -> str:
    """Return the user's name, or the number of a user without one, which containers may have."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.12
        return str(os.geteuid())
