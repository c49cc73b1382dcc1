"""What keeps a production server from starting, and what `check --deploy` thinks of one that starts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PRODUCTION = {
    "DATABASE_URL": "postgres://zenow:hunter2@db.example/zenow",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ALLOWED_HOSTS": "learn.example",
    "TRUSTED_PROXIES": "127.0.0.1",
}


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with these variables and no others."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=50)


class TestRefusal:
    def test_lists_everything_missing_in_one_message(self) -> None:
        refused = manage("check", DATABASE_URL=PRODUCTION["DATABASE_URL"])
        assert refused.returncode == 1
        assert "SECRET_KEY: " in refused.stderr
        assert "ALLOWED_HOSTS: " in refused.stderr
        assert "Traceback" not in refused.stderr

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SECRET_KEY", "short"),
            ("WEB_THREADS", "many"),
            ("PORT", "65536"),
            ("ALLOWED_HOSTS", "*"),
            ("OPS_TOKEN", "31-characters-are-one-too-few.."),
            ("TRUSTED_PROXIES", "10.0.0.0/8,loadbalancer"),
        ],
    )
    def test_names_what_is_wrong(self, name: str, value: str) -> None:
        refused = manage("check", **PRODUCTION | {name: value})
        assert refused.returncode == 1
        assert f"\n  - {name}: " in refused.stderr
        assert refused.stderr.count("\n  - ") == 1

    def test_tells_no_secret(self) -> None:
        refused = manage("check", **PRODUCTION | {"ALLOWED_HOSTS": "*", "OPS_TOKEN": "too-short-a-token"})
        assert "too-short-a-token" not in refused.stderr
        assert "hunter2" not in refused.stderr


class TestAddresses:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DATABASE_URL", "postgres://zenow:hunter2/x@db.example/zenow"),
            ("DATABASE_URL", "postgres://zenow:hunter2?x@db.example/zenow"),
            ("DATABASE_URL", "//zenow:hunter2@db.example/zenow"),
            ("DATABASE_URL", "zenow:hunter2@db.example/zenow"),
            ("DATABASE_URL", "mysql://zenow:hunter2@db.example/zenow"),
            ("REDIS_URL", "redis://:hunter2/x@cache.example/0"),
            ("REDIS_URL", "redis://:hunter2#x@cache.example/0"),
            ("REDIS_URL", "cache.example:hunter2"),
            ("EMAIL_URL", "smtp://zenow:hunter2#x@mail.example:25"),
            ("EMAIL_URL", "hunter2"),
        ],
    )
    def test_that_cannot_be_read_are_refused_and_not_shown(self, name: str, value: str) -> None:
        refused = manage("check", **PRODUCTION | {name: value})
        assert refused.returncode == 1
        assert f"{name}: it is no address" in refused.stderr
        assert "hunter2" not in refused.stderr + refused.stdout
        assert "Traceback" not in refused.stderr

    @pytest.mark.parametrize(
        "url",
        [
            "postgres://zenow:hun%2Fter2%40@one.example,two.example:5432/zenow",
            "postgresql://zenow:hunter2@db.example/zenow?sslmode=require",
            "postgres:///zenow?host=/run/postgresql",
            "sqlite:///somewhere.sqlite3",
        ],
    )
    def test_of_all_kinds_that_are_served_are_taken(self, url: str) -> None:
        started = manage("check", **PRODUCTION | {"DATABASE_URL": url})
        assert started.returncode == 0, started.stderr

    @pytest.mark.parametrize(
        ("url", "named"),
        [
            ("rediss://:hunter2@cache.example/0?ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs"),
            ("redis://cache.example/0?no_such_option=hunter2", "no_such_option"),
            ("redis://cache.example/hunter2", "number of a database"),
        ],
    )
    def test_with_an_option_that_cannot_be_are_refused_by_its_name(self, url: str, named: str) -> None:
        refused = manage("check", **PRODUCTION | {"REDIS_URL": url})

        assert refused.returncode == 1
        assert "REDIS_URL: " in refused.stderr
        assert named in refused.stderr
        assert "hunter2" not in refused.stderr + refused.stdout
        assert "Traceback" not in refused.stderr


class TestProduction:
    @pytest.mark.parametrize("proxies", ["127.0.0.1", ""])
    def test_passes_the_deployment_checks(self, proxies: str) -> None:
        checked = manage(
            "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION | {"TRUSTED_PROXIES": proxies}
        )
        assert checked.returncode == 0, checked.stderr
        assert "no issues" in checked.stdout


class TestLocalRun:
    def test_needs_no_variable(self) -> None:
        assert manage("check").returncode == 0

    def test_is_not_told_to_run_locally_when_it_does(self) -> None:
        refused = manage("check", DEBUG="1", PORT="many")
        assert "\n  - PORT: " in refused.stderr
        assert "DEBUG" not in refused.stderr

    @pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs leave to mount")
    def test_says_what_to_set_where_its_key_cannot_be_kept(self) -> None:
        (ROOT / "var").mkdir(exist_ok=True)
        script = f"mount -t tmpfs -o ro none {ROOT}/var && exec {sys.executable} manage.py check"
        ran = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "DEBUG": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "SECRET_KEY: a local one cannot be kept, so set it" in ran.stderr
        assert "Traceback" not in ran.stderr
