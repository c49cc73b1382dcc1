"""What a drill's report says, apart from how fast all was."""

from typing import Any

# How fast all this was is for calm machines; what is asked here is what happened.
TIMED = ("the slowest", "all breakers are closed again")


def missed(report: dict[str, Any]) -> list[str]:
    """Return which objectives were missed, but for those of time."""
    return [
        f"{one['name']}: {one['measured']}"
        for one in report["objectives"]
        if not one["met"] and not one["name"].startswith(TIMED)
    ]
