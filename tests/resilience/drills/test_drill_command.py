"""`manage.py drill` breaks nothing before it knows that it may and can."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from resilience import faults, registry
from resilience.drills.turn import turn
from resilience.primitives import HostStore
from resilience.testing import server_role
from tests.servers.process import free_port


@pytest.fixture(autouse=True)
def drills(settings: LazySettings, tmp_path: Path) -> Iterator[None]:
    settings.RESILIENCE = {
        "NAMESPACE": "shop",
        "DIR": str(tmp_path / "store"),
        "DRILLS": True,
        "BREAKERS": {"database": {}, "cache": {}},
    }
    yield
    registry.forget()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[None]:
    """A server's store, in which its breakers count."""
    store = HostStore(tmp_path / "store", "shop", role="server", create=True)
    with server_role(store):
        registry.states()
        yield
    store.close()


@pytest.fixture
def readable(server: None) -> Iterator[str]:
    """An address where everything can be read."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if self.path != "/other":
                self.send_header("X-System-Degraded", "false")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def refusal(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as refused:
        call_command("drill", *arguments)
    assert faults.current("database") is None
    return refused.value.returncode, str(refused.value)


class TestRefused:
    def test_where_drills_are_off(self, server: None, settings: LazySettings) -> None:
        settings.RESILIENCE = settings.RESILIENCE | {"DRILLS": False}
        status, said = refusal("database")
        assert status == 2
        assert 'RESILIENCE["DRILLS"]' in said

    def test_where_no_server_runs(self) -> None:
        assert refusal("database")[0] == 3

    @pytest.mark.parametrize(
        "given", ["--seconds=0", "--seconds=nan", "--share=1.1", "--rate=501", "--delay=-1"]
    )
    def test_for_what_makes_no_sense(self, server: None, given: str) -> None:
        status, said = refusal("database", given)
        assert status == 2
        assert given.partition("=")[0] in said

    def test_without_anything_to_read(self, server: None) -> None:
        assert "DRILL_PATHS" in refusal("database")[1]

    @pytest.mark.parametrize(
        "url",
        ["file:///etc/passwd", "localhost:8080", "http://", "http://a:99999", "http://[", "http://u:p@a"],
    )
    def test_for_an_address_that_is_none(self, server: None, url: str) -> None:
        assert "--url" in refusal("database", f"--url={url}", "--path=/a")[1]

    @pytest.mark.parametrize("path", ["/a\r\nb", "/ü", "/a b", "a", "", "//"])
    def test_for_a_path_that_is_none(self, server: None, path: str) -> None:
        url = f"--url=http://127.0.0.1:{free_port()}"
        status, said = refusal("database", url, f"--path={path}")
        assert status == 2
        assert "--path must begin with /" in said or "cannot be read before the drill" in said

    def test_for_a_server_of_another_kind(self, readable: str) -> None:
        """It answers, and yet it is not what would be broken."""
        assert "does not use resilience" in refusal("database", f"--url={readable}", "--path=/other")[1]

    def test_for_more_than_a_report_can_show(self, server: None) -> None:
        assert "50000 are the most" in refusal("database", "--seconds=3600", "--path=/a")[1]

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            (["database", "--fault=kill"], "needs --pid-file"),
            (["all", "--fault=freeze", "--pid-file=a"], "database or cache"),
            (["database", "--pid-file=a"], "kill and freeze alone"),
            (["database", "--fault=kill", "--pid-file=a", "--user=b"], "--user cannot be used"),
            (["database", "--fault=freeze", "--pid-file=a", "--restart=b"], "kill alone"),
            (["database", "--fault=kill", "--pid-file=a", "--restart='b"], "--restart is no command"),
        ],
    )
    def test_for_the_real_thing_with_the_wrong_options(
        self, server: None, given: list[str], why: str
    ) -> None:
        status, said = refusal(*given)
        assert status == 2
        assert why in said

    def test_of_sign_in_without_anybody_who_signs_in(self, server: None, settings: LazySettings) -> None:
        settings.RESILIENCE["BREAKERS"]["auth"] = {}
        assert "--user NAME" in refusal("auth")[1]
        assert "DRILL_SIGN_IN" in refusal("auth", "--user=ada")[1]

    def test_of_sign_in_without_a_password(
        self, readable: str, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        settings.RESILIENCE["DRILL_SIGN_IN"] = {"sign_in": "/token", "refresh": "/refresh"}
        given = ["database", f"--url={readable}", "--path=/a", "--user=ada", f"--report={tmp_path}"]
        monkeypatch.delenv("DRILL_PASSWORD", raising=False)
        assert "DRILL_PASSWORD" in refusal(*given)[1]
        monkeypatch.setenv("DRILL_PASSWORD", "s3cret")
        status, said = refusal(*given)
        assert (status, "ada cannot sign in before the drill" in said, "s3cret" in said) == (2, True, False)

    def test_for_a_file_that_names_no_server(self, readable: str, tmp_path: Path) -> None:
        (tmp_path / "pid").write_text(f"{os.getpid()}\n")
        real = ["--fault=freeze", f"--pid-file={tmp_path / 'pid'}", f"--report={tmp_path}"]
        assert "not one of postgres" in refusal("database", f"--url={readable}", "--path=/a", *real)[1]

    def test_where_no_report_can_be_written(self, readable: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        report = f"--report={tmp_path / 'file' / 'folder'}"
        status, said = refusal("database", f"--url={readable}", "--path=/a", report)
        assert status == 2
        assert "no report can be written" in said

    def test_while_another_has_not_broken_anything_yet(self, readable: str, tmp_path: Path) -> None:
        with turn("ada"):
            status, said = refusal("database", f"--url={readable}", "--path=/a", f"--report={tmp_path}")
        assert status == 2
        assert f"by ada (pid {os.getpid()})" in said

    def test_where_the_server_does_not_answer(self, server: None) -> None:
        status, said = refusal("database", f"--url=http://127.0.0.1:{free_port()}", "--path=/a")
        assert status == 2
        assert "/a cannot be read before the drill" in said

    def test_while_another_is_under_way(self, server: None) -> None:
        faults.start("cache", "error", lasts=60)
        assert "cache is under way" in refusal("all", "--path=/a")[1]
