"""The nginx site of deploy/, really run before the real server."""

import http.client
import os
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.servers.nginx import PROGRAM, NginxServer
from tests.servers.site import SiteServer

pytestmark = pytest.mark.skipif(PROGRAM is None and "CI" not in os.environ, reason="nginx is not installed")


@pytest.fixture(scope="module")
def nginx() -> Iterator[NginxServer]:
    with (
        SiteServer(workers=1, ALLOWED_HOSTS="learn.example", TRUSTED_PROXIES="127.0.0.1") as site,
        NginxServer(site.port) as server,
    ):
        yield server


def get(server: NginxServer, path: str) -> http.client.HTTPResponse:
    """Ask over TLS, with the certificate checked for the site's name."""
    context = ssl.create_default_context(cafile=str(server.certificate))
    connection = http.client.HTTPSConnection("learn.example", context=context)
    plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=10)
    connection.sock = context.wrap_socket(plain, server_hostname="learn.example")
    connection.request("GET", path, headers={"Host": "learn.example"})
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


class TestNginx:
    def test_passes_the_site_through_tls(self, nginx: NginxServer) -> None:
        response = get(nginx, "/api/schema")
        assert response.status == 200
        assert response.headers["Strict-Transport-Security"].startswith("max-age=31536000")

    def test_redirects_plain_http(self, nginx: NginxServer) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=10)
        connection.request("GET", "/api/courses?page=2", headers={"Host": "learn.example"})
        response = connection.getresponse()
        connection.close()
        assert response.status == 301
        assert response.headers["Location"] == "https://learn.example/api/courses?page=2"

    def test_answers_for_a_page_that_is_not_there(self, nginx: NginxServer) -> None:
        assert get(nginx, "/no/such/page").status == 404
