"""The stand-in partner fails on demand, on this machine only, and can be told to recover while it runs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from learn.management.commands.ratings_stub import CONTROL, MODES, RatingsStub
from tests.servers.partner import Partner

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stub() -> Iterator[RatingsStub]:
    with Partner() as server:
        yield server


def switch(stub: RatingsStub, mode: str, **values: str) -> requests.Response:
    return requests.put(f"{stub.url}{CONTROL}", params={"name": mode, **values}, timeout=5)


class TestRatingsStub:
    def test_rates_a_course_the_same_each_time(self, stub: RatingsStub) -> None:
        first, second = (requests.get(f"{stub.url}/algebra", timeout=5).json() for _ in range(2))

        assert first == second
        assert first["slug"] == "algebra"
        assert 1 <= first["rating"] <= 5

    def test_listens_on_the_loopback_address_only(self, stub: RatingsStub) -> None:
        assert stub.server_address[0] == "127.0.0.1"

    @pytest.mark.parametrize(
        ("mode", "status"), [("broken", 500), ("unknown", 404), ("redirecting", 302), ("garbage", 200)]
    )
    def test_is_switched_while_it_runs(self, stub: RatingsStub, mode: str, status: int) -> None:
        assert switch(stub, mode).json()["name"] == mode
        assert requests.get(f"{stub.url}/algebra", timeout=5, allow_redirects=False).status_code == status

        switch(stub, "well")
        assert requests.get(f"{stub.url}/algebra", timeout=5).status_code == 200

    @pytest.mark.parametrize("mode", ["slow", "silent", "dripping"])
    def test_can_be_waited_for_in_vain(self, stub: RatingsStub, mode: str) -> None:
        switch(stub, mode, seconds="60")

        with pytest.raises(requests.RequestException, match="timed out"):
            requests.get(f"{stub.url}/algebra", timeout=0.05)

    def test_can_promise_more_than_it_sends(self, stub: RatingsStub) -> None:
        switch(stub, "cut")

        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="more expected"):
            requests.get(f"{stub.url}/algebra", timeout=5)

    def test_can_send_without_end(self, stub: RatingsStub) -> None:
        switch(stub, "huge")

        with requests.get(f"{stub.url}/algebra", timeout=5, stream=True) as response:
            assert len(next(response.iter_content(10_000_000))) == 10_000_000

    def test_refuses_an_unknown_mode_and_names_the_known(self, stub: RatingsStub) -> None:
        answer = switch(stub, "sleepy")

        assert answer.status_code == 404
        assert all(mode in answer.json()["detail"] for mode in MODES)
        assert stub.mode == "well"


class TestCommand:
    def test_says_how_to_use_it_and_ends_on_ctrl_c(self) -> None:
        with subprocess.Popen(
            [sys.executable, "manage.py", "ratings_stub", "--port", "0", "--mode", "broken"],
            cwd=ROOT,
            env={"DJANGO_SETTINGS_MODULE": "zenow.settings.test"},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            url = process.stdout.readline().partition("RATINGS_URL=")[2].strip()
            assert requests.get(f"{url}/algebra", timeout=5).status_code == 500

            process.send_signal(2)
            assert process.wait(5) == 0
