"""After a write that was acknowledged no worker of the host answers with what was there before."""

import http.client
import json
import subprocess
import sys

from tests.functional.outages import MINT
from tests.servers.site import SiteServer

WRITES = 60


def _manage(site: SiteServer, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=dict(site.environment()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_read_after_a_write_never_shows_the_state_before() -> None:
    site = SiteServer()
    _manage(site, "migrate", "--verbosity=0")
    token = _manage(site, "shell", "--verbosity=0", "-c", MINT).strip()
    own = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with site:

        def send(method: str, path: str, body: object) -> dict[str, str]:
            connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
            try:
                connection.request(method, path, json.dumps(body), own)
                response = connection.getresponse()
                answer: dict[str, str] = json.loads(response.read())
                assert response.status in (200, 201), answer
                return answer
            finally:
                connection.close()

        path = f"/api/categories/{send('POST', '/api/categories', {'title': 'Arts'})['slug']}"
        sources = set()
        for number in range(WRITES):
            title = f"Arts {number}"
            send("PATCH", path, {"title": title})
            # Connections of their own: whichever worker takes them.
            for _ in range(4):
                answer = site.get(path)
                sources.add(answer.headers["X-Data-Source"])
                assert json.loads(answer.body)["title"] == title
        assert sources == {"live", "cached"}
