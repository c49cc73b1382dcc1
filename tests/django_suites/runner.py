"""Django's test runner, which also writes down how each test ended."""

import json
import os
import unittest
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner


class RecordingResult(unittest.TextTestResult):
    """Collect the ends of tests by their ids."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ends: dict[str, str] = {}

    def _note(self, test: unittest.TestCase, end: str) -> None:
        self.ends[test.id()] = end

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        super().addSuccess(test)
        self.ends.setdefault(test.id(), "ok")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest's name
        super().addFailure(test, err)
        self._note(test, f"failed: {err[1]}")

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest's name
        super().addError(test, err)
        self._note(test, f"failed: {err[0].__name__}: {err[1]}")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, f"failed: {err[0].__name__}: {err[1]}")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802  # unittest's name
        super().addSkip(test, reason)
        self._note(test, "skipped")

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest's name
        super().addExpectedFailure(test, err)
        self._note(test, "failed as expected")


class RecordingRunner(DiscoverRunner):
    """Write the ends of all tests to the file named by `SUITE_RESULTS`."""

    def get_resultclass(self) -> Any:
        return RecordingResult

    def suite_result(self, suite: Any, result: Any, **kwargs: Any) -> Any:
        Path(os.environ["SUITE_RESULTS"]).write_text(json.dumps(result.ends))
        return super().suite_result(suite, result, **kwargs)
