import ipaddress

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from resilience.request.client_address import client_address, neighbourhood, neighbourhood_of

PROXIES = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "fd00::/8")]
CLIENT = "203.0.113.9"


class TestClientAddress:
    @pytest.mark.parametrize(
        ("remote", "forwarded_for", "expected"),
        [
            # Nobody in between.
            (CLIENT, "", CLIENT),
            ("2001:db8::1", "", "2001:db8::1"),
            # A client that writes the header itself.
            (CLIENT, "198.51.100.1", CLIENT),
            (CLIENT, "10.0.0.1", CLIENT),
            ("10.0.0.1", f"198.51.100.1, {CLIENT}", CLIENT),
            ("10.0.0.1", f"10.0.0.7, {CLIENT}", CLIENT),
            ("10.0.0.1", f"nonsense, {CLIENT}", CLIENT),
            ("10.0.0.1", "1.1.1.1, " * 500 + CLIENT, CLIENT),
            # Proxies of ours, one after the other.
            ("10.0.0.1", CLIENT, CLIENT),
            ("10.0.0.1", f"{CLIENT}, 10.0.0.2", CLIENT),
            ("fd00::1", f" {CLIENT} ,fd00::2,10.0.0.2", CLIENT),
            ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
            # A proxy of ours asks on its own account.
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
            # Ports, brackets, IPv4 in IPv6.
            ("10.0.0.1", f"{CLIENT}:50123", CLIENT),
            ("10.0.0.1", "[2001:db8::1]:50123", "2001:db8::1"),
            (f"::ffff:{CLIENT}", "", CLIENT),
            ("::ffff:10.0.0.1", CLIENT, CLIENT),
            # Malformed: the trusted hop that passed it on is the last one known.
            ("10.0.0.1", "unknown", "10.0.0.1"),
            ("10.0.0.1", f"{CLIENT}, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", f"{CLIENT},", "10.0.0.1"),
            ("10.0.0.1", "999.1.1.1", "10.0.0.1"),
            ("10.0.0.1", "[", "10.0.0.1"),
            ("10.0.0.1", "\x00", "10.0.0.1"),
            # A local socket between a proxy and us.
            ("", CLIENT, CLIENT),
            ("", "", None),
            ("nonsense", CLIENT, None),
        ],
    )
    def test_is_the_last_hop_outside_the_trusted_proxies(
        self, remote: str, forwarded_for: str, expected: str | None
    ) -> None:
        address = client_address(remote, forwarded_for, PROXIES)
        assert address == (None if expected is None else ipaddress.ip_address(expected))

    @pytest.mark.parametrize("remote", [CLIENT, "10.0.0.1"])
    def test_is_the_peer_where_no_proxy_is_trusted(self, remote: str) -> None:
        assert str(client_address(remote, "198.51.100.1", [])) == remote

    def test_is_nobody_on_a_local_socket_where_no_proxy_is_trusted(self) -> None:
        assert client_address("", "198.51.100.1", []) is None


class TestNeighbourhood:
    def test_of_ipv4_is_the_address(self) -> None:
        assert neighbourhood(ipaddress.ip_address(CLIENT)) == CLIENT

    def test_of_ipv6_is_its_64(self) -> None:
        near, far = "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"
        assert neighbourhood(ipaddress.ip_address(near)) == "2001:db8:1:2::/64"
        assert neighbourhood(ipaddress.ip_address(near)) == neighbourhood(ipaddress.ip_address(far))

    def test_of_a_scoped_ipv6_address_has_no_scope(self) -> None:
        assert neighbourhood(ipaddress.ip_address("fe80::1%eth0")) == "fe80::/64"


class TestPlaceOfARequest:
    def test_reads_the_settings(self, rf: RequestFactory, settings: Settings) -> None:
        request = rf.get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": CLIENT})
        assert neighbourhood_of(request) == "10.0.0.1"
        settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
        assert neighbourhood_of(request) == CLIENT

    def test_is_empty_without_a_request(self) -> None:
        assert neighbourhood_of(None) == ""
