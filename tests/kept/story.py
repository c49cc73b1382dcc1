"""Send writes that meet a fault in their middle, and look after each whether its answer is true."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.kept.project import KeptShop

# Returns the titles that are stored and begin so, as another client of the database sees them.
Look = Callable[[str], list[str]]


@dataclass
class Verdict:
    """What the answers were, and which of them were not true."""

    writes: int
    answers: Counter[str] = field(default_factory=Counter)
    untrue: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"  true: {self.writes - len(self.untrue)} of {self.writes}"
        yield from (f"  {number:4d} {answer}" for answer, number in sorted(self.answers.items()))
        yield from (f"  NOT TRUE: {each}" for each in self.untrue)


def tell(shop: KeptShop, look: Look, faults: list[str], *, times: int, at_once: int) -> Verdict:
    """Send `times` writes that meet each fault in turn, by the API and by a plain view."""
    verdict = Verdict(times)

    def one(number: int) -> None:
        fault = faults[number % len(faults)]
        by_api, then = number // len(faults) % 2 == 0, number // len(faults) // 2 % 2 == 0
        title, whole = f"{fault or 'none'} {number}", 2 if then else 1
        headers = {"Idempotency-Key": title, **({"X-Then": "1"} if then else {})}
        answer = shop.write(title, {**headers, "X-Fault": fault}, by_api=by_api)
        stored = look(title)
        said = f"{fault or 'no fault'}: {answer.status_code}"
        if by_api and answer.status_code == 503:
            said += f" {answer.json()['outcome']}"
        verdict.answers[said] += 1
        kept = _is_true(answer.status_code, said, len(stored), whole)
        again: list[int] = []
        if by_api and kept:
            # The same key again settles the write, and it is there once. It is 409 as long as the server is
            # at what was cut, and a busy machine may refuse it.
            ends = time.monotonic() + 20
            while again.count(201) < 2 and time.monotonic() < ends:
                again.append(shop.write(title, headers, by_api=True).status_code)
                time.sleep(0.0 if again[-1] == 201 else 0.05)
            verdict.answers.update(f"repeated: {status}" for status in again if status != 201)
            stored = look(title)
            kept = set(again) <= {201, 409, 503} and again.count(201) == 2 and len(stored) == whole
        if not kept:
            verdict.untrue.append(f"{title}: {said}, repeated {again}, stored: {stored}")

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(times)))
    return verdict


def _is_true(status: int, said: str, stored: int, whole: int) -> bool:
    if status == 201:
        return stored == whole
    return status == 503 and stored == 0 and not said.endswith("unknown")
