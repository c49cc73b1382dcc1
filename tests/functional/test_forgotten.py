"""Kept connections fall silent, or are ended, all at once; the server behind is well and takes new ones.

The kind: what lies between client and server (a balancer, a firewall, an address translation) lost its
memory, or somebody ended the sessions. `make forgotten` has each fault many times.
"""

import os
from collections.abc import Iterator

import pytest

from tests.faultproxy import Mode
from tests.functional.forgotten import Load, spread
from tests.functional.outages import Site

SECONDS = float(os.environ.get("FORGOTTEN_SECONDS", "0"))
SHORT: dict[Mode, int] = {"forget": 1, "kill": 1}
LONG: list[dict[Mode, int]] = [{"forget": 5}, {"kill": 5}, {"half": 5}]


@pytest.fixture
def site(outage_site: Site) -> Iterator[Site]:
    """A site whose readers and writers wait for a place, so that none is turned away for want of one."""
    with Site(outage_site.server, outage_site.proxy) as site:
        yield site


@pytest.mark.parametrize("modes", LONG if SECONDS else [SHORT], ids=lambda modes: "-".join(modes))
def test_a_site_whose_connections_are_lost_goes_on(site: Site, modes: dict[Mode, int]) -> None:
    load, seconds = Load(site), SECONDS or 7.0
    load.run(seconds=seconds, faults=spread(seconds, modes))
    Load.rows.append(f"{'-'.join(modes)}: {load.row()}")
    load.check()
