"""The short form of `make ledger`."""

import pytest

from tests.ledger.storm import run


@pytest.mark.timeout(180)
def test_no_write_is_lost_doubled_or_lied_about() -> None:
    ledger, wrong = run(kills=2, freezes=1, mutes=3, seed=7, tell=lambda _: None)
    assert wrong == []
    assert len(ledger.stored) >= 12
    assert ledger.not_stored
    assert ledger.replayed  # stored, unseen, and found by the repeat
