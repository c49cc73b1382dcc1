"""The port of the database refuses under load."""

from tests.functional.outages import Outage, Site


def test_a_port_that_refuses_costs_three_failures(outage_site: Site) -> None:
    with Outage("refused", outage_site) as outage:
        outage.begins(lambda: outage_site.proxy.set("refuse"))
        outage.ends(lambda: outage_site.proxy.set("pass"))
    outage.check()
