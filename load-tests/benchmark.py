"""What each hot endpoint costs and how fast it is, with one worker and with several.

    python load-tests/benchmark.py [--quick] [--json] [--record]

One command: it starts a durable PostgreSQL and a Valkey of its own, seeds sessions, and for each
number of workers one `keyturn serve`, which it loads from this process; then it stops everything.
Every refresh rotates and commits. README.md says what the printed figures mean, and what they
do not.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

import codes
import limits
import plan as plans
import seed
import storage
import wire
from cpu import Cores
from keyturn.configuration import load_settings
from machine import machine_line, record
from people import people
from plan import FOR_EVER, Plan
from report import Report, Scene
from sign_ins import PASSWORD, SignIns
from stage import Stage
from surroundings import Surroundings, environ_of, surroundings
from traffic import Traffic

__all__ = ["WORKERS_LEFT", "benchmark", "environ_of"]

WORKERS_LEFT = "select count(*) from pg_stat_activity where application_name = 'keyturn'"
"""For who reads statistics once every connection of a server has handed in its own."""


async def benchmark(plan: Plan) -> list[Report]:
    """Start everything, measure each server, stop everything."""
    alone, spread = Cores.divide(pin=plan.pin), Cores.divide(pin=False)
    async with surroundings(alone) as around:
        return [
            await _measure(plan, around, workers, alone if workers == 1 else spread)
            for workers in plan.workers
        ]


async def _measure(plan: Plan, around: Surroundings, workers: int, cores: Cores) -> Report:
    around = around.on(cores)
    seeded = await around.seed(plan.sessions + plan.spendable)
    ending, seeded = seeded.split(plan.spendable)
    sign_ins = await _sign_ins(plan, around, ending)
    report = Report(workers, pinned=cores.pinned)
    with around.serving(workers) as worker:
        stage = Stage(worker, around.pair.pids, cores, plan.measuring)
        programme = Programme(plan, around.url, stage, report)
        await programme.refreshing(Traffic(seeded, plan.connections))
        await programme.signing_in(sign_ins)
    postgres_pid = around.pair.pids["postgres"]
    report.updates = await limits.measure_updates(around.url, postgres_pid, 2 * plan.measuring)
    report.signing_microseconds = sum(stage.signatures) / len(stage.signatures)
    return report


async def _sign_ins(plan: Plan, around: Surroundings, ending: seed.Seeded) -> SignIns:
    settings = load_settings(around.environ)
    await seed.register(settings, [codes.CLIENT], "")
    return SignIns(
        codes=await codes.make(around.url, plan.spendable),
        tokens=ending.tokens,
        client_id=ending.client_id,
        emails=await people(settings, plan.people, PASSWORD),
        connections=plan.connections,
    )


@dataclass(frozen=True, slots=True)
class Programme:
    """The scenes of one server, one after the other."""

    plan: Plan
    url: str
    stage: Stage
    report: Report

    async def refreshing(self, traffic: Traffic) -> None:
        """Play what begins no session; a few refreshes first, for tokens to introspect."""
        before, warm_up = await storage.quieten(self.url), self._scene("warm-up")
        await self.stage.play(warm_up, traffic.refreshes(), self.plan.others, FOR_EVER)
        if warm_up.errors:
            raise RuntimeError(f"the warm-up failed: {dict(warm_up.errors)}")
        await self._share("refresh", traffic.refreshes(), self.plan.refresh_rounds())
        rotations = warm_up.requests + self._rotations()
        self.report.storage = await storage.read(self.url, before, self.plan.sessions, rotations)
        machine = traffic.client_credentials()
        await self._share("client_credentials", machine, self.plan.other_rounds())
        await self._play("introspection", traffic.introspections())
        await self._play("jwks", traffic.jwks())

    async def signing_in(self, sign_ins: SignIns) -> None:
        """Play what begins sessions and ends them: the table grows and shrinks with these."""
        await self._play("code_exchange", sign_ins.code_exchanges())
        await self._play("revocation", sign_ins.revocations())
        await self._play("login", sign_ins.logins())

    async def _share(self, name: str, sources: Sequence[wire.Source], rounds: plans.Rounds) -> None:
        scene = self._scene(name)
        self.report.shares.append(await self.stage.share(scene, sources, rounds))
        await self._halve(scene, sources)

    async def _play(self, name: str, sources: Sequence[wire.Source]) -> None:
        scene = self._scene(name)
        await self.stage.play(scene, sources, self.plan.others, self.plan.seconds)
        await self._halve(scene, sources)

    async def _halve(self, scene: Scene, sources: Sequence[wire.Source]) -> None:
        await self.stage.halve(scene, sources, self.plan.calm)
        self.report.scenes.append(scene)

    def _rotations(self) -> int:
        refresh = self.report.scene("refresh")
        return refresh.requests + (refresh.half.requests if refresh.half else 0)

    def _scene(self, name: str) -> Scene:
        return Scene(name, self.plan.connections)


def main() -> None:
    asked = plans.parser().parse_args()
    reports = uvloop.run(benchmark(Plan.of(asked)))
    document = {"machine": machine_line(), "servers": [one.document() for one in reports]}
    text = "\n\n".join([machine_line(), *(one.text() for one in reports)])
    print(json.dumps(document) if asked.json else text)
    if asked.record:
        rows = [row for one in reports for row in one.rows()]
        record(Path(asked.record), " ".join(["load-tests/benchmark.py", *sys.argv[1:]]), rows)
    failures = [failure for one in reports for failure in one.failures()]
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
