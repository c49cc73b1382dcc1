"""The SECRET_KEY of a local run."""

import secrets
from pathlib import Path


def local_secret_key(folder: Path) -> str:
    """Return this checkout's own key, made on first use, so that sessions survive a restart.

    Raises `OSError` if it can be neither read nor stored.
    """
    path = folder / "secret_key"
    try:
        with path.open("x") as file:
            path.chmod(0o600)
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()
