"""nginx with the site file of deploy/, on ports and with a certificate of the suite's own."""

import gzip
import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers.process import ServerProcess, free_port

SITE = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"


# A user's own PATH seldom has the folder in which Debian keeps it.
PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class Got(NamedTuple):
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return the body, decompressed if it was compressed."""
        packed = self.headers.get("Content-Encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if packed else self.body)


class NginxServer(ServerProcess):
    """nginx before an app on `upstream_port`: plain HTTP on `port`, TLS on `tls_port`.

    It waits `read_timeout` for the app's answers.
    """

    death_signal = signal.SIGTERM  # Killed, it would leave its workers behind.

    def __init__(self, upstream_port: int, *, read_timeout: str = "30s") -> None:
        super().__init__()
        self.tls_port = free_port()
        self.directory.chmod(0o711)  # Its workers run as another user and keep temporary files here.
        self._make_certificate()
        site = SITE.read_text()
        for theirs, ours in {
            "127.0.0.1:8080": f"127.0.0.1:{upstream_port}",
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.tls_port} ssl;",
            "/etc/ssl/learn.example": str(self.directory),
            "/var/cache/nginx": str(self.directory),
            "proxy_read_timeout 30s": f"proxy_read_timeout {read_timeout}",
        }.items():
            if theirs not in site:
                raise ValueError(f"{SITE.name} no longer says {theirs!r}")
            site = site.replace(theirs, ours)
        self._configuration.write_text(
            f"daemon off; pid {self.directory}/pid; error_log {self.log};\n"
            "events {}\n"
            f"http {{ access_log off; {self._temporary_paths()}\n{site}}}\n"
        )

    @property
    def url(self) -> str:
        return f"https://learn.example:{self.tls_port}"

    @property
    def certificate(self) -> Path:
        return self.directory / "fullchain.pem"

    @property
    def _configuration(self) -> Path:
        return self.directory / "nginx.conf"

    def command(self) -> list[str | Path]:
        return [PROGRAM or "nginx", "-c", self._configuration, "-e", self.log]

    def asks(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        host: str = "learn.example",
        **headers: str,
    ) -> Got:
        """Ask over TLS, with the certificate checked for the site's name."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection("learn.example", context=context)
        plain = socket.create_connection(("127.0.0.1", self.tls_port), timeout=10)
        connection.sock = context.wrap_socket(plain, server_hostname="learn.example")
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, headers={"Host": host, **said})
            response = connection.getresponse()
            return Got(response.status, response.headers, response.read())
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.tls_port), timeout=1).close()
        except OSError:
            return False
        return True

    def _temporary_paths(self) -> str:
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return " ".join(f"{name}_temp_path {self.directory}/{name};" for name in names)

    def _make_certificate(self) -> None:
        key, certificate = self.directory / "privkey.pem", self.certificate
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=learn.example", "-addext", "subjectAltName=DNS:learn.example"),
                *("-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
