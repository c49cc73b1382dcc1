"""Each connection to the database is reset as soon as it is accepted."""

from tests.functional.outages import Outage, Site


def test_reset_connections_cost_three_failures(outage_site: Site) -> None:
    with Outage("reset", outage_site) as outage:
        outage.begins(lambda: outage_site.proxy.set("reset"))
        outage.ends(lambda: outage_site.proxy.set("pass"))
    outage.check()
