"""The run: so many mutants in batches over a few connections, and what became of them.

A mutant is made of the seed and its number alone, so that `Campaign(..., seed=7)` sends the same
again; tokens and keys are new each time.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from attacks.grammar import Draft, octets
from attacks.judge import Judge
from attacks.mutations import Pool, mutate
from attacks.seeds import SHARES
from attacks.stock import Stock
from attacks.wire import Answer, Line, Silence
from keyturn.telemetry.labels import METHODS
from support.api import Api
from support.replicas import Replica
from support.secret_scan import scan

BATCH = 1000
LINES = 6
WEIGHTS = [one.weight for one in SHARES]
QUIET = frozenset({"Host", "Content-Type"})
"""Headers whose values are no use in other places."""


@dataclass(frozen=True)
class Finding:
    """Something that must not be, and how to see it again."""

    number: int
    door: str
    mutations: tuple[str, ...]
    what: str
    sent: bytes
    got: bytes = b""

    def __str__(self) -> str:
        return (
            f"mutant {self.number} of {self.door}, {'+'.join(self.mutations)}: {self.what}\n"
            f"  sent {self.sent[:1500]!r}\n  got {self.got[:600]!r}"
        )


@dataclass
class Campaign:
    """Attacks one replica; `counts` are the answers by door and status."""

    api: Api
    seed: int
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    mutations: Counter[str] = field(default_factory=Counter)
    untouched: Counter[tuple[str, bool]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    seconds: float = 0.0
    log_lines: int = 0
    _read: int = 0

    @property
    def replica(self) -> Replica:
        """The server under attack."""
        return self.api.replicas[0]

    async def run(self, numbers: range) -> None:
        """Send these mutants."""
        began = time.monotonic()
        self._read = self.replica.log.stat().st_size
        for first in range(numbers.start, numbers.stop, BATCH):
            await self._batch(range(first, min(first + BATCH, numbers.stop)))
        self.seconds = time.monotonic() - began

    async def _batch(self, numbers: range) -> None:
        stock = await Stock.made(self.api, Random(f"{self.seed} stock {numbers.start}"))
        pool, waiting = pool_of(stock), iter(numbers)
        judge = Judge(self.api.issuer, stock.secrets)
        async with asyncio.TaskGroup() as lines:
            for _ in range(LINES):
                lines.create_task(self._line(waiting, stock, pool, judge))
        self._look_around(stock, numbers)

    async def _line(self, waiting: Iterator[int], stock: Stock, pool: Pool, judge: Judge) -> None:
        ports = [
            int(url.rpartition(":")[2]) for url in (self.replica.url, self.replica.management_url)
        ]
        public, management = map(Line, ports)
        for number in waiting:
            dice = Random(f"{self.seed} {number}")
            share = dice.choices(SHARES, WEIGHTS)[0]
            stock.dice = dice
            draft = mutate(dice, share.make(stock), pool)
            await self._ask(number, draft, management if draft.manages else public, judge)
        public.close()
        management.close()

    async def _ask(self, number: int, draft: Draft, line: Line, judge: Judge) -> None:
        raw = draft.written()
        self.mutations.update(draft.mutations)
        try:
            answer = await line.ask(raw, bodiless=draft.method == "HEAD")
        except (Silence, AssertionError, ValueError) as error:
            self._find(number, draft, str(error), raw)
            line.close()
            return
        self.counts[draft.door, answer.status] += 1
        if not draft.mutations:
            self.untouched[draft.door, answer.status < 400] += 1
        for what in judge.complaints(draft, answer):
            self._find(number, draft, what, raw, answer)

    def _find(
        self, number: int, draft: Draft, what: str, raw: bytes, answer: Answer | None = None
    ) -> None:
        got = b"" if answer is None else answer.raw
        self.findings.append(Finding(number, draft.door, tuple(draft.mutations), what, raw, got))

    def _look_around(self, stock: Stock, numbers: range) -> None:
        """Read what the server wrote meanwhile, and see how it is."""
        assert self.replica.process.poll() is None, f"the server died in {numbers}"
        self.memory.append(resident(self.replica.process.pid))
        with self.replica.log.open("rb") as log:
            log.seek(self._read)
            told = log.read()
        self._read += len(told)
        self.log_lines += told.count(b"\n")
        name = f"batch {numbers.start}"
        for what in complaints_of_log(told, stock.secrets):
            self.findings.append(Finding(numbers.start, name, (), what, b""))

    def table(self) -> list[dict[str, object]]:
        """Return the counts, a row a door."""
        doors = sorted({door for door, _ in self.counts})
        return [
            {
                "door": door,
                "requests": sum(n for (one, _), n in self.counts.items() if one == door),
                "statuses": {
                    str(s): n for (one, s), n in sorted(self.counts.items()) if one == door
                },
            }
            for door in doors
        ]


def pool_of(stock: Stock) -> Pool:
    """Return every name and value of every valid request."""
    every = [share.make(stock) for share in SHARES]
    pairs = [pair for one in every for place in one.places for pair in place]
    return [(name, value) for name, value in pairs if name not in QUIET and octets(value)]


def complaints_of_log(told: bytes, secrets: dict[str, bytes]) -> Iterator[str]:
    """Yield what must not stand in a log: failures, tracebacks, secrets, lines that are no JSON."""
    for line in told.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            yield f"a log line that is no JSON: {line[:200]!r}"
            continue
        if said.get("level") in {"error", "critical"} or "exception" in said:
            yield f"the log says {line[-1800:]!r}"
        if said.get("event") == "request" and said["method"] not in {*METHODS, "_OTHER"}:
            yield f"a method of the caller's in the log: {said['method']!r}"
    for found in scan(secrets, {"log": told}):
        yield f"the log tells a {found.secret}, {found.spelling}"


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} tells no VmRSS")
