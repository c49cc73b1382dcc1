"""The key of a local run."""

import secrets
from pathlib import Path


def local_secret_key(folder: Path) -> str:
    """Return this clone's own key, made on first use, so that sessions survive a restart of a local run.

    Raise `OSError` where it can be neither read nor kept.
    """
    path = folder / "secret_key"
    try:
        with path.open("x") as file:
            path.chmod(0o600)
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()
