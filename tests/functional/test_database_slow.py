"""The database answers 5 s late: once for the wire's sake, once for its own."""

import time

import psycopg

from tests.functional.outages import Outage, Site, open_for

# The rows of the catalogue, each statement 5 s late.
SLOW = """
    ALTER TABLE learn_course RENAME TO learn_course_at_rest;
    CREATE VIEW learn_course AS
        SELECT * FROM learn_course_at_rest WHERE (SELECT pg_sleep(5)) IS NOT NULL
"""
# Whoever waited for these has had another answer by now.
ABANDONED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE '%learn_course%' AND query_start < now() - interval '2 seconds'
"""
FAST = "DROP VIEW learn_course; ALTER TABLE learn_course_at_rest RENAME TO learn_course"


def test_a_slow_wire_costs_failures(outage_site: Site) -> None:
    with Outage("slow by 5 s on the wire", outage_site) as outage:
        outage.begins(lambda: outage_site.proxy.set("latency", delay=5.0))
        outage.ends(lambda: outage_site.proxy.set("pass"))
    outage.check()


def test_a_slow_server_ends_its_own_statements_and_frees_its_backends(outage_site: Site) -> None:
    connection = psycopg.connect(outage_site.server.url, autocommit=True)
    # Without writers: what they store in another table is well, and more than half of all calls.
    with connection, Outage("slow by 5 s in the server", outage_site, writes=False) as outage:
        outage.begins(lambda: connection.execute(SLOW), lasts=0.0)
        # By rate: what was well before the fault would outweigh it for as long as the window is.
        outage_site.manage("breakers", "reset", "database")
        time.sleep(max(7.0, open_for()))
        left = connection.execute(ABANDONED).fetchone()
        assert left is not None
        outage.left_active = left[0]
        outage.ends(lambda: connection.execute(FAST))
    outage.check(opens_by="slow")
    assert outage.left_active == 0
