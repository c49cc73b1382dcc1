"""Views of each kind, two accounts, two others, outages: nobody is shown what is another's."""

import os

import pytest

from resilience.answers import plain, watching
from tests.leaks.readers import ADDRESSES, mixed

TIMES = int(os.environ.get("LEAKS", "600"))
SEED = int(os.environ.get("SEED", "1"))


def test_nobody_is_shown_what_is_anothers() -> None:
    watcher = mixed(TIMES, SEED)
    assert watcher.leaks == []
    assert len(ADDRESSES) > 30
    assert watcher.sources.keys() >= {"live", "cached", "static"}
    assert min(watcher.sources[source] for source in ("live", "cached", "static")) > TIMES / 100
    assert "500" not in watcher.sources


@pytest.mark.parametrize("forgotten", ["account session", "session", "csrf", "cookie", "header", "attribute"])
def test_a_reading_that_is_not_noted_would_be_seen(forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a leak: what is read of this kind is not noted, so that the answer is stored for others."""
    note = watching.Watch.note

    def forgetful(self: watching.Watch, reason: str, name: str) -> None:
        if reason not in forgotten.split():
            note(self, reason, name)

    monkeypatch.setattr(watching.Watch, "note", forgetful)
    # Accounts and sessions are rows, too, whose reading is noted in a second way.
    monkeypatch.setattr(plain, "_unheard_of", lambda models: None)
    assert mixed(1000, SEED, until_seen=True).leaks
