"""Every act done twice, to the real thing and to the oracle, and everything observable compared."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from typing import Any

from keyturn.errors import Refusal
from keyturn.sessions.model import Refreshed
from keyturn.sessions.rotation import RefreshRequest
from support.rotation_oracle import Ask, Record, Verdict, parse
from support.rotation_world import IDLE, SECOND, Actor, Wish

Result = tuple[str, str | None]
"""The error code (or "ok") and the token."""


class Judge(Actor):
    """Acts, and holds what comes of it against the oracle and the invariants."""

    def _use(self, ask: Ask, at: int) -> Verdict:
        """One refresh on its own: every observable must be as the oracle says."""
        replica, before = self.replicas[at], self.world.oracle.record
        counted, replica.watch.statements[:] = replica.counted(), []
        replica.audit.take(replica.audit.waiting())
        answered = self._run(self._refreshed(ask, at))
        expected = self.world.oracle.refresh(ask)
        self._remember()
        self.tally[expected.outcome] += 1
        self.world.posthumous += self._is_over()
        outcomes = {
            name: count - counted.get(name, 0)
            for name, count in replica.counted().items()
            if count != counted.get(name, 0)
        }
        assert outcomes == {expected.outcome: 1}, (expected, before)
        self._compare(ask, answered, expected)
        self._check_statements(expected, replica.watch.statements, before)
        events = [one.event.type for one in replica.audit.take(10)]
        self._check_events(events, expected)
        self._hold_to_the_invariants(ask, answered, before)
        return expected

    def _check_events(self, events: list[str], expected: Verdict) -> None:
        """Reuse is told each time, a missing key once a session."""
        unproven = events.count("dpop_refused")
        assert unproven <= (expected.error == "invalid_dpop_proof")
        self.world.unproven += unproven
        assert self.world.unproven <= 1
        others = [one for one in events if one != "dpop_refused"]
        assert others == ["refresh_reuse"] * (expected.outcome == "reuse")

    def _compare(self, ask: Ask, answered: Refreshed | Refusal, expected: Verdict) -> None:
        if isinstance(answered, Refusal):
            assert (answered.code, None) == (expected.error, expected.token)
            return
        assert answered.refresh_token == expected.token
        assert answered.unchanged == (expected.token == ask.text)
        assert answered.scopes == expected.scopes
        assert frozenset(answered.audiences) == expected.audiences
        assert answered.session.decided_at == ask.now
        assert answered.session.id == self.world.session_id
        assert answered.session.dpop_jkt == self.world.plan.dpop_jkt
        position = parse(answered.refresh_token).generation  # type: ignore[union-attr]
        known = self.world.issued.setdefault(position, answered.refresh_token)
        assert known == answered.refresh_token, "a second lineage"

    def _check_statements(
        self, expected: Verdict, statements: Sequence[str], before: Record | None
    ) -> None:
        """The happy path is one round trip; a token without a good tag costs none."""
        if expected.outcome in {"rotated", "kept"}:
            assert len(statements) == 1, statements
        if expected.decided_early:
            assert statements == []
        elif before is not None and expected.outcome not in {"rotated", "kept"}:
            assert "read" in statements

    def _hold_to_the_invariants(
        self, ask: Ask, answered: Refreshed | Refusal, before: Record | None
    ) -> None:
        """The rotation page's sentences, without the oracle's decision."""
        accepted = isinstance(answered, Refreshed)
        generations = {text: number for number, text in self.world.issued.items()}
        if ask.text not in generations:
            assert not accepted, "a forged token was accepted"
            return
        if before is None or before.revoke_reason is not None:
            assert not accepted, "a token of a session that is over was accepted"
            return
        if ask.terms.client_id != "app" or before.expires_at <= ask.now:
            assert not accepted
            return
        if self.world.plan.dpop_jkt is not None or before.idle_expires_at <= ask.now:
            return
        steps = before.generation - generations[ask.text]
        grace = ask.terms.grace
        is_late = not before.rotated_at > ask.now - grace
        if 0 < steps <= 10_000 and (is_late or steps > 1) and self._verifies(ask):
            after = self._run(self.stage.row(self.world.session_id))
            assert after is not None
            assert after["revoke_reason"] == "reuse", "a superseded token went unseen"

    def _verifies(self, ask: Ask) -> bool:
        wire = parse(ask.text)
        return wire is not None and wire.key_id in ask.secrets

    def _at_once(self, acts: Sequence[tuple[str, Ask]]) -> list[Result]:
        """Do everything at once over both replicas: some order must explain what came of it."""

        async def together() -> list[Result]:
            return list(
                await asyncio.gather(
                    *(self._act(act, ask, number % 2) for number, (act, ask) in enumerate(acts))
                )
            )

        before = self.world.oracle
        self.world.posthumous += self._is_over()
        results = self._run(together())
        row = self._run(self.stage.row(self.world.session_id))
        for order in _orders(acts):
            oracle = before.copy()
            expected: dict[int, Result] = {}
            for number in order:
                act, ask = acts[number]
                if act == "log out":
                    expected[number] = ("ok" if oracle.log_out(ask) else "unrecognised", None)
                else:
                    expected[number] = result_of(oracle.refresh(ask))
            if _alike(acts):
                explains = Counter(expected.values()) == Counter(results)
            else:
                explains = [expected[number] for number in range(len(acts))] == results
            if explains and _same(oracle.record, row):
                self.world.oracle = oracle
                self._remember()
                return results
        raise AssertionError(f"no order explains {results} from {before.record} to {row}")

    async def _act(self, act: str, ask: Ask, at: int) -> Result:
        if act == "use":
            return await self._refresh(ask, at)
        replica = self.replicas[at]
        ended = await replica.ending.by_refresh_token(self._client(ask.terms), ask.text)
        return ("ok" if ended is not None else "unrecognised", None)

    async def _refresh(self, ask: Ask, at: int) -> Result:
        answered = await self._refreshed(ask, at)
        if isinstance(answered, Refusal):
            return (answered.code, None)
        position = parse(answered.refresh_token).generation  # type: ignore[union-attr]
        assert self.world.issued.setdefault(position, answered.refresh_token) == (
            answered.refresh_token
        ), "a second lineage"
        return ("ok", answered.refresh_token)

    async def _refreshed(self, ask: Ask, at: int) -> Refreshed | Refusal:
        request = RefreshRequest(
            client=self._client(ask.terms),
            token=ask.text,
            scopes=ask.scopes or None,
            audiences=ask.audiences or None,
            dpop_jkt=ask.dpop_jkt,
        )
        try:
            return await self.replicas[at].rotation.refresh(request)
        except Refusal as refusal:
            return refusal

    def _log_out(self, ask: Ask, at: int) -> None:
        result = self._run(self._act("log out", ask, at))
        assert result == ("ok" if self.world.oracle.log_out(ask) else "unrecognised", None)
        self.world.posthumous += 1

    async def _happen(self, event: str) -> None:
        """One event on the other replica, between two statements of the first."""
        oracle = self.world.oracle
        row = oracle.record
        if event == "its end":
            await self.stage.set_time(row.expires_at if row else self.stage.now + SECOND)
        elif event in {"earlier", "later", "much later"}:
            steps = {"earlier": -1200 * SECOND, "later": 11 * SECOND, "much later": 2 * IDLE}
            await self.stage.set_time(self.stage.now + (steps[event] if row else SECOND))
        elif event == "crash":
            if self._may_crash():
                await self._crash(1)
        else:
            back = {"use": -1, "parent": 1, "log out": 0}[event]
            ask = self._ask(self._issued(back), Wish(), self._key(), 1)
            act = "log out" if event == "log out" else "use"
            result = await self._act(act, ask, 1)
            if act == "log out":
                assert result == ("ok" if oracle.log_out(ask) else "unrecognised", None)
            else:
                assert result == result_of(oracle.refresh(ask))
            self._remember()

    def _have_a_past(self) -> None:
        """See to it that there is a commit to lose: the client uses what it holds."""
        self._renew(posthumous_uses=0)
        if not self._may_crash():
            newest = self.world.issued[max(self.world.issued)]
            self._use(self._ask(newest, Wish(), self._key(), 0), 0)


def result_of(verdict: Verdict) -> Result:
    """What a caller sees of a verdict."""
    return (verdict.error or "ok", verdict.token)


def _alike(acts: Sequence[tuple[str, Ask]]) -> bool:
    return len({(act, ask.text) for act, ask in acts}) == 1


def _orders(acts: Sequence[tuple[str, Ask]]) -> Iterable[tuple[int, ...]]:
    """Every order that can make a difference."""
    numbers = tuple(range(len(acts)))
    return [numbers] if _alike(acts) else permutations(numbers)


def _same(record: Record | None, row: Mapping[str, Any] | None) -> bool:
    if record is None or row is None:
        return record is None and row is None
    return all(
        row[name] == getattr(record, name)
        for name in ("generation", "rotated_at", "idle_expires_at", "revoke_reason")
    )
