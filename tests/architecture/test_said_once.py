"""What has one place in the product, and would soon be said twice."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("what", "place"),
    [
        (r'"\+00:00", "Z"|%Y-%m-%dT%H', "resilience/primitives/clock.py"),
        (r'"  "\.join\(cell', "resilience/observe/tables.py"),
        (r'\("isolate", "disable"\)', "resilience/operate/orders.py"),
        (r"There is no such member", "resilience/problems.py"),
        (r"\(\?<=//\)|//\[\^/@", "resilience/causes.py"),
    ],
    ids=["time as text", "a table", "what an order lasts for", "an unknown member", "user and password"],
)
def test_is_said_once(what: str, place: str) -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("zenow", "learn", "resilience")
        for path in (ROOT / package).rglob("*.py")
        if re.search(what, path.read_text())
    }
    assert found == {place}
