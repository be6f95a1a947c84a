"""One session on the stage: how it began, who holds which of its tokens, what a crash undoes."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import cycle
from typing import Any
from uuid import UUID

from keyturn.clients.model import Client
from support.rotation_oracle import Ask, Lineage, Oracle, Record, Terms
from support.rotation_stack import API, BILLING, DAY, ISSUER, RESTORE, Replica, Stage, client

MASTERS = {1: b"first master secret.............", 2: b"second master secret............"}
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
IDLE = timedelta(hours=1)
MARGIN = timedelta(hours=1)
"""What the id adds to the expiry it carries."""

REPORTS = "https://reports.example"
ALL_SCOPES = frozenset({"read", "write", "admin"})
ALL_AUDIENCES = (API, BILLING, REPORTS)
"""What the client may have; a session is granted all but the last of each."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What kind of session, at what kind of client."""

    grace: timedelta
    rotates: bool
    dpop_jkt: str | None
    born: int
    """The replica it starts at."""
    ancestry: int
    """Generations it has behind it."""
    shortened: bool
    """Its absolute expiry was moved before its idle expiry, as no code of ours does."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a use asks for besides a token."""

    scopes: frozenset[str] = frozenset()
    audiences: tuple[str, ...] = ()


@dataclass(slots=True)
class World:
    """One session as the test knows it."""

    oracle: Oracle
    plan: Plan
    issued: dict[int, str]
    """Every token anybody was ever given, by generation."""
    past: list[Record] = field(default_factory=list)
    """What the row was before, the latest last: what a crash may bring back."""
    client_changes: dict[str, Any] = field(default_factory=dict)
    posthumous: int = 0
    """Uses since the session was over."""
    unproven: int = 0
    """How often operators were told of a token without its key."""

    @property
    def session_id(self) -> UUID:
        """The row's key."""
        return UUID(bytes=self.oracle.lineage.first.session_id)


class Actor:
    """Begins sessions on the stage, moves what is around them, and words requests."""

    def __init__(self, stage: Stage, tally: Counter[str] | None = None) -> None:
        self.stage = stage
        self.tally = Counter() if tally is None else tally
        self.secrets: list[tuple[int, ...]] = [(1, 2), (1, 2)]
        self.replicas: list[Replica] = []
        self.world: World
        self.plans: cycle[Plan] = cycle(())
        self._apply_secrets()

    def _run(self, work: Any) -> Any:
        return self.stage.run(work)

    def _apply_secrets(self) -> None:
        self.replicas = [
            replica.with_secrets({number: MASTERS[number] for number in listed})
            for replica, listed in zip(self.stage.replicas, self.secrets, strict=True)
        ]

    def _sign_in(self, plan: Plan) -> None:
        self.stage.clock.at += timedelta(milliseconds=1)
        self._run(self.stage.set_time(self.stage.now.replace(microsecond=500_000)))
        replica = self.replicas[plan.born]
        whom = client(grace=plan.grace, rotation=plan.rotates, scopes=ALL_SCOPES)
        started = self._run(self.stage.sign_in(replica, whom, dpop_jkt=plan.dpop_jkt))
        key_id = self.secrets[plan.born][0]
        lineage = Lineage.of(started.refresh_token, "app", MASTERS[key_id])
        assert lineage.first.key_id == key_id, "not born under the first secret"
        record = Record(0, self.stage.now, self.stage.now + IDLE, self.stage.now + DAY)
        oracle = Oracle(
            lineage, frozenset({"read", "write"}), (API, BILLING), IDLE, record, plan.dpop_jkt
        )
        self.world = World(oracle, plan, {0: started.refresh_token}, [record])
        if plan.shortened:
            self._run(self._shorten())
        if plan.ancestry:
            self._run(self._grow_old(plan.ancestry))

    async def _shorten(self) -> None:
        record = self.world.oracle.record
        assert record is not None
        sooner = replace(record, expires_at=record.idle_expires_at - IDLE / 2)
        statement = "update sessions set expires_at = $2 where id = $1"
        await self.stage.admin.execute(statement, self.world.session_id, sooner.expires_at)
        self.world.oracle.record, self.world.past = sooner, [sooner]

    async def _grow_old(self, generations: int) -> None:
        """Give the session a long past: as if it had been refreshed so often."""
        world = self.world
        assert world.oracle.record is not None
        await self._restore(replace(world.oracle.record, generation=generations))
        for generation in (*range(3), *range(generations - 2, generations + 1)):
            world.issued[generation] = world.oracle.lineage.text(generation)
        self.world.past = [self.world.oracle.record]  # type: ignore[list-item]

    async def _crash(self, lost: int) -> None:
        """Bring the row back as it was `lost` writes ago; what was issued stays out there."""
        past = self.world.past
        assert not self._is_over()
        del past[max(1, len(past) - lost) :]
        await self._restore(past[-1])

    async def _restore(self, record: Record) -> None:
        lineage = self.world.oracle.lineage
        self.world.oracle.record = record
        await self.stage.admin.execute(
            RESTORE,
            self.world.session_id,
            lineage.wire(record.generation).hash,
            lineage.wire(record.generation + 1).hash,
            record.generation,
            record.rotated_at,
            record.idle_expires_at,
        )

    def _remember(self) -> None:
        """Keep what the row is now, for a later crash to lose."""
        record, past = self.world.oracle.record, self.world.past
        if record is not None and record != past[-1]:
            past.append(record)

    def _renew(self, posthumous_uses: int) -> None:
        """Begin another session once this one is over and was used for a while after that.

        What a rule draws must not depend on the state, which depends on races: so no preconditions.
        """
        if self._is_over() and self.world.posthumous >= posthumous_uses:
            self._sign_in(next(self.plans))

    def _may_crash(self) -> bool:
        return not self._is_over() and len(self.world.past) > 1

    def _is_over(self) -> bool:
        """Whether no token that is out there can be accepted any more."""
        row = self.world.oracle.record
        if row is None or row.revoke_reason is not None:
            return True
        ahead = max(self.world.issued) > row.generation
        idle = row.idle_expires_at + (IDLE if ahead else timedelta(0))
        return min(idle, row.expires_at) <= self.stage.now

    def _issued(self, back: int) -> str:
        """The issued token nearest to `back` generations behind the row."""
        row, issued = self.world.oracle.record, self.world.issued
        wanted = (row.generation if row else 0) - back
        return issued[min(issued, key=lambda generation: (abs(generation - wanted), generation))]

    def _key(self) -> str | None:
        return self.world.plan.dpop_jkt

    def _ask(self, text: str, wish: Wish, jkt: str | None, at: int, *, whom: str = "app") -> Ask:
        return Ask(
            text=text,
            terms=self._terms(whom),
            now=self.stage.now,
            process_now=self.stage.clock.now(),
            secrets={number: MASTERS[number] for number in self.secrets[at]},
            scopes=wish.scopes,
            audiences=wish.audiences,
            dpop_jkt=jkt,
        )

    def _terms(self, whom: str = "app") -> Terms:
        plan, changes = self.world.plan, self.world.client_changes
        return Terms(
            client_id=whom,
            grace=changes.get("grace", plan.grace),
            scopes=changes.get("scopes", ALL_SCOPES),
            audiences=frozenset({*changes.get("audiences", ALL_AUDIENCES), ISSUER}),
            rotates=changes.get("rotation", plan.rotates),
        )

    def _client(self, terms: Terms) -> Client:
        return client(
            terms.client_id,
            grace=terms.grace,
            rotation=terms.rotates,
            scopes=terms.scopes,
            audiences=tuple(one for one in ALL_AUDIENCES if one in terms.audiences),
        )

    def _landmark(self, name: str) -> Any:
        row = self.world.oracle.record
        if row is None or name == "now":
            return self.stage.now
        return {
            "grace": row.rotated_at + self._terms().grace,
            "idle": row.idle_expires_at,
            "idle of a lost commit": row.idle_expires_at + IDLE,
            "expiry": row.expires_at,
            "expiry of the id": row.expires_at + MARGIN,
        }[name]
