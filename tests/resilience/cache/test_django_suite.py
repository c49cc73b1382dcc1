"""Django's own tests of cache backends pass: see `base_cache_tests` for what is left out of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import RedisServer
from tests.sources import sources

ROOT = Path(__file__).resolve().parents[3]


class TestBaseCacheTests:
    @pytest.mark.timeout(300)  # The sources are fetched on first use.
    def test_pass_in_memory_and_on_redis(self, redis_server: RedisServer) -> None:
        sources("django")
        # Side by side: they spend their time asleep, waiting for entries to expire.
        runs = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.resilience.cache.base_cache_tests", *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for arguments in (["json"], ["json", redis_server.url], ["signed", f"{redis_server.url[:-1]}1"])
        ]
        said = [run.communicate(timeout=120)[0] for run in runs]

        assert [run.returncode for run in runs] == [0, 0, 0], "\n".join(said)
