"""The client's address: the nearest hop that is not a trusted proxy."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_HOPS = 32  # A client that needs more is padding the header.


def client_address(remote: str, forwarded_for: str, trusted: Sequence[Network]) -> Address | None:
    """Return the nearest hop outside the trusted networks; None if no trusted source names one.

    `remote` is the peer of the connection: "" for a local socket, which is trusted if any proxy is.
    `forwarded_for` is the raw X-Forwarded-For. It is read from the right, and each trusted hop is believed
    only about the one before it: whatever a client writes into the header lies to the left of its own
    address. If a hop is malformed, the trusted proxy that passed it on is returned.
    """
    known = _parse(remote)
    if not trusted or (remote and not _is_trusted(known, trusted)):
        return known
    for hop in reversed(forwarded_for.split(",")[-_MAX_HOPS:]):
        address = _parse(hop)
        if address is None:
            return known
        if not _is_trusted(address, trusted):
            return address
        known = address
    return known


def neighbourhood(address: Address) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 subscriber."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def neighbourhood_of(request: HttpRequest | None) -> str:
    """Return the neighbourhood of a request's client; "" without a request or an address."""
    if request is None:
        return ""
    address = client_address(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        _networks(tuple(getattr(settings, "TRUSTED_PROXIES", ()))),
    )
    return "" if address is None else neighbourhood(address)


def _parse(text: str) -> Address | None:
    """Return the address in one hop, which may have a port or brackets; None if it is malformed."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


def _is_trusted(address: Address | None, trusted: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in trusted)


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
