"""Connections to the database are accepted and nothing comes back."""

from tests.functional.outages import Outage, Site


def test_a_silent_wire_costs_three_failures(outage_site: Site) -> None:
    with Outage("accepted but silent", outage_site) as outage:
        outage.begins(lambda: outage_site.proxy.set("silent"))
        outage.ends(lambda: outage_site.proxy.set("pass"))
    outage.check()
