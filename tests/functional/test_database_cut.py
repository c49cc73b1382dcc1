"""Each reply of the database ends in its middle."""

from tests.functional.outages import Outage, Site


def test_replies_cut_in_half_cost_three_failures(outage_site: Site) -> None:
    with Outage("cut after half of a reply", outage_site) as outage:
        outage.begins(lambda: outage_site.proxy.set("cut"))
        outage.ends(lambda: outage_site.proxy.set("pass"))
    outage.check()
