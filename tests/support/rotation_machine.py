"""A hypothesis machine over `sessions.rotation`: anything anybody may do with a session's tokens.

Every step is done to the real thing (two replicas, one PostgreSQL) and to the oracle; outcome,
answer, and the row afterwards must agree. Apart from the oracle, each step is held against the
invariants of the rotation page in their own words: one lineage, superseded tokens end their
session, nothing forged or revoked is accepted.
"""

import base64
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support.rotation_judge import Judge, result_of
from support.rotation_oracle import MOST_STEPS, parse, sign
from support.rotation_stack import API, BILLING, Stage
from support.rotation_world import MASTERS, REPORTS, SECOND, TICK, Plan, Wish


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """`usual` about half the time."""
    return st.sampled_from([usual] * max(1, len(others)) + list(others))


PLANS = st.builds(
    Plan,
    grace=mostly(10 * SECOND, 0 * SECOND, 60 * SECOND),
    rotates=mostly(True, True, False),
    dpop_jkt=mostly(None, None, "key"),
    born=st.integers(0, 1),
    ancestry=mostly(0, 0, 3),
    shortened=mostly(False, False, True),
)
WISHES = mostly(
    Wish(),
    Wish(scopes=frozenset({"read"})),
    Wish(scopes=frozenset({"read", "write"})),
    Wish(audiences=(BILLING,)),
    Wish(scopes=frozenset({"read", "write"}), audiences=(API, BILLING)),
    Wish(scopes=frozenset({"read", "admin"})),
    Wish(audiences=(API, REPORTS)),
)
STEPS_BACK = mostly(0, 0, 1, 1, 2, 3, 10_000, -1)
"""How many generations behind the row's the used token is; only issued ones are used."""
SECRET_LISTS = mostly((1, 2), (1, 2), (2, 1), (2, 1), (1,), (2,))
PROOFS = mostly("key", None, "another key")
EVENTS = mostly("crash", "log out", "use", "parent", "later", "much later", "its end", "earlier")
LANDMARKS = mostly("grace", "grace", "idle", "expiry")
NEARBY = st.sampled_from([-TICK, timedelta(0), TICK, timedelta(milliseconds=2), SECOND])


class RotationMachine(Judge, RuleBasedStateMachine):
    """Steps of users, thieves, networks, clocks, crashes and operators; see the rules' names."""

    def __init__(self, stage: Stage, tally: Counter[str] | None = None) -> None:
        RuleBasedStateMachine.__init__(self)
        Judge.__init__(self, stage, tally)

    # ---- sessions and their clients

    @initialize(plans=st.lists(PLANS, min_size=5, max_size=5), past=mostly(*[0] * 4, 9_998, 10_001))
    def sign_in(self, plans: list[Plan], past: int) -> None:
        """`past`: the first session is near the most steps that a token is followed, or beyond."""
        self._sign_in(replace(plans[0], ancestry=past) if past else plans[0])
        if past > MOST_STEPS:
            self._use(self._ask(self._issued(past), Wish(), self._key(), 0), 0)
        self.plans = cycle(plans[1:])

    @rule(
        change=st.sampled_from(["grace", "rotation", "scopes", "audience", "audiences", "nothing"])
    )
    def operator_changes_the_client(self, change: str) -> None:
        self._renew(posthumous_uses=0)
        plan = self.world.plan
        self.world.client_changes = {
            "grace": {"grace": 10 * SECOND if not plan.grace else 0 * SECOND},
            "rotation": {"rotation": not plan.rotates},
            "scopes": {"scopes": frozenset({"read"})},
            "audience": {"audiences": (BILLING,)},
            "audiences": {"audiences": (REPORTS,)},
            "nothing": {},
        }[change]

    @rule(lists=st.tuples(SECRET_LISTS, SECRET_LISTS))
    def operator_rolls_out_secrets(self, lists: tuple[tuple[int, ...], ...]) -> None:
        self._renew(posthumous_uses=0)
        self.secrets = list(lists)
        self._apply_secrets()

    # ---- time

    @rule(landmark=LANDMARKS, nearby=NEARBY, back=mostly(0, 1, 2), at=st.integers(0, 1))
    def somebody_uses_a_token_when(
        self, landmark: str, nearby: timedelta, back: int, at: int
    ) -> None:
        """To the microsecond before, at, and after the end of something."""
        self._renew(posthumous_uses=0)
        moment = self._landmark(landmark) + nearby
        if moment > self.stage.now:
            self._run(self.stage.set_time(moment))
        self._use(self._ask(self._issued(back), Wish(), self._key(), at), at)

    @rule(
        step=st.sampled_from(["a second", "the grace", "the grace", "a long time"]),
        nearby=NEARBY,
        back=mostly(0, 1, 2),
        at=st.integers(0, 1),
    )
    def the_clock_steps_back(self, step: str, nearby: timedelta, back: int, at: int) -> None:
        self._renew(posthumous_uses=0)
        row = self.world.oracle.record
        assert row is not None
        moment = {
            "a second": self.stage.now - SECOND,
            "the grace": row.rotated_at - self._terms().grace + nearby,
            "a long time": self.stage.now - timedelta(minutes=20),
        }[step]
        if moment < self.stage.now:
            self._run(self.stage.set_time(moment))
        self._use(self._ask(self._issued(back), Wish(), self._key(), at), at)

    @rule(nearby=NEARBY, back=STEPS_BACK, purged=st.booleans(), at=st.integers(0, 1))
    def long_after_its_expiry(self, nearby: timedelta, back: int, at: int, *, purged: bool) -> None:
        """When the id itself says so; the row may be gone by then."""
        self._renew(posthumous_uses=2)
        moment = self._landmark("expiry of the id") + nearby
        if moment > self.stage.now:
            self._run(self.stage.set_time(moment))
        if purged:
            self.world.oracle.record = None
            statement = "delete from sessions where id = $1"
            self._run(self.stage.admin.execute(statement, self.world.session_id))
        self._use(self._ask(self._issued(back), Wish(), self._key(), at), at)

    # ---- uses of tokens that were issued

    @rule(back=STEPS_BACK, wish=WISHES, jkt=PROOFS, at=st.integers(0, 1))
    def somebody_uses_a_token(self, back: int, wish: Wish, jkt: str | None, at: int) -> None:
        self._renew(posthumous_uses=2)
        self._use(self._ask(self._issued(back), wish, jkt, at), at)

    @rule(
        back=mostly(0, 1, 2),
        wait=st.sampled_from([0, 1, 9, 11, 61]),
        wish=WISHES,
        at=st.integers(0, 1),
    )
    def the_client_uses_it_after_a_while(self, back: int, wait: int, wish: Wish, at: int) -> None:
        self._renew(posthumous_uses=0)
        self._run(self.stage.set_time(self.stage.now + wait * SECOND))
        self._use(self._ask(self._issued(back), wish, self._key(), at), at)

    @rule(back=STEPS_BACK, replayed=STEPS_BACK, wish=WISHES, at=st.integers(0, 1))
    def the_holder_logs_out(self, back: int, replayed: int, wish: Wish, at: int) -> None:
        """Any generation will do; and whatever is used afterwards, inside the grace too, is late."""
        self._renew(posthumous_uses=2)
        self._log_out(self._ask(self._issued(back), Wish(), None, at), at)
        self._use(self._ask(self._issued(replayed), wish, self._key(), 1 - at), 1 - at)

    # ---- forgeries

    @rule(
        back=STEPS_BACK,
        how=st.sampled_from(
            ["secret", "secret", "session", "key id", "a byte", "a byte", "client"]
        ),
        noise=st.binary(min_size=32, max_size=32),
        at=st.integers(0, 1),
    )
    def a_thief_forges(self, back: int, how: str, noise: bytes, at: int) -> None:
        """With the tag key: another secret, session or key id; without: a byte, or a client."""
        self._renew(posthumous_uses=0)
        text, whom, number = self._issued(back), "app", int.from_bytes(noise, "big")
        wire = parse(text)
        assert wire is not None
        if how == "a byte":
            text = flipped(text, number % 69, 1 + number % 255)
        elif how == "client":
            whom = "other"
        else:
            forged = {
                "secret": replace(wire, secret=noise),
                "session": replace(wire, session_id=wire.session_id[:-9] + noise[:9]),
                "key id": replace(wire, key_id=3 - wire.key_id),
            }[how]
            text = sign(forged, "app", MASTERS[forged.key_id])
        verdict = self._use(self._ask(text, Wish(), self._key(), at, whom=whom), at)
        assert verdict.token is None
        assert how not in {"a byte", "client"} or verdict.outcome == "unknown"

    # ---- crashes

    @rule(lost=st.integers(1, 3))
    def a_crash_loses_commits(self, lost: int) -> None:
        self._have_a_past()
        self._run(self._crash(lost))

    @rule(
        lost=mostly(1, 2),
        when=mostly("now", "idle", "idle of a lost commit"),
        nearby=NEARBY,
        wish=WISHES,
        again=st.booleans(),
        at=st.integers(0, 1),
    )
    def a_crash_loses_what_the_client_then_uses(
        self, lost: int, when: str, nearby: timedelta, wish: Wish, at: int, *, again: bool
    ) -> None:
        """The client holds what it was given; a heal that is lost heals once more."""
        self._have_a_past()
        for _ in range(2 if again else 1):
            if not self._is_over():
                self._have_a_past()
                self._run(self._crash(lost))
                moment = self._landmark(when) + nearby
                if moment > self.stage.now:
                    self._run(self.stage.set_time(moment))
                newest = self.world.issued[max(self.world.issued)]
                self._use(self._ask(newest, wish, self._key(), at), at)

    # ---- at the same time

    @rule(back=STEPS_BACK, uses=st.integers(2, 5), wish=WISHES, jkt=PROOFS)
    def many_use_one_token_at_once(self, back: int, uses: int, wish: Wish, jkt: str | None) -> None:
        self._renew(posthumous_uses=2)
        text = self._issued(back)
        asks = [self._ask(text, wish, jkt, number % 2) for number in range(uses)]
        before = self.world.oracle.record
        results = self._at_once([("use", ask) for ask in asks])
        tokens = {token for _, token in results if token is not None}
        if before is not None and self._terms().grace and not self.world.plan.dpop_jkt:
            assert len(tokens) <= 1, "one token, one grace, two answers"

    @rule(
        acts=st.lists(
            st.tuples(st.sampled_from(["use", "use", "use", "log out"]), STEPS_BACK),
            min_size=2,
            max_size=3,
        )
    )
    def different_things_at_once(self, acts: list[tuple[str, int]]) -> None:
        self._renew(posthumous_uses=0)
        self._at_once(
            [
                (act, self._ask(self._issued(back), Wish(), self._key(), number % 2))
                for number, (act, back) in enumerate(acts)
            ]
        )

    @rule(back=STEPS_BACK, event=EVENTS, lost=st.booleans())
    def something_happens_before_the_row_is_read(
        self, back: int, event: str, *, lost: bool
    ) -> None:
        """`lost`: a crash comes first, so that there is something to heal."""
        self._renew(posthumous_uses=0)
        if lost:
            self._have_a_past()
            self._run(self._crash(1))
        self._is_interrupted(-1 if lost else back, "read", event)

    @rule(event=EVENTS)
    def something_happens_before_a_lost_commit_is_healed(self, event: str) -> None:
        self._renew(posthumous_uses=0)
        self._have_a_past()
        self._run(self._crash(1))
        self._is_interrupted(-1, "heal", event)

    @rule(back=mostly(1, 2), event=mostly("log out", "crash", "use", "parent"))
    def something_happens_before_a_session_ends_for_reuse(self, back: int, event: str) -> None:
        self._renew(posthumous_uses=0)
        self._have_a_past()
        self._run(self.stage.set_time(self.stage.now + 61 * SECOND))
        self._is_interrupted(back, "end_for_reuse", event)

    def _is_interrupted(self, back: int, before: str, event: str) -> None:
        ask = self._ask(self._issued(back), Wish(), self._key(), 0)
        watch = self.replicas[0].watch

        async def interrupt(name: str) -> None:
            if name == before:
                watch.before = None
                await self._happen(event)

        watch.before = interrupt
        try:
            refreshed = self._run(self._refresh(ask, 0))
        finally:
            watch.before = None
        expected = self.world.oracle.refresh(replace(ask, now=self.stage.now))
        self._remember()
        assert refreshed == result_of(expected), (expected, self.world.oracle.record)

    # ---- what holds after every step

    @invariant()
    def the_row_is_what_the_oracle_says(self) -> None:
        row = self._run(self.stage.row(self.world.session_id))
        expected = self.world.oracle.record
        if expected is None:
            assert row is None
            return
        lineage = self.world.oracle.lineage
        assert row is not None
        assert dict(row) == {
            "token_hash": lineage.wire(expected.generation).hash,
            "next_hash": lineage.wire(expected.generation + 1).hash,
            "generation": expected.generation,
            "rotated_at": expected.rotated_at,
            "idle_expires_at": expected.idle_expires_at,
            "expires_at": expected.expires_at,
            "revoke_reason": expected.revoke_reason,
            "announced": expected.revoke_reason is not None,
        }


def flipped(text: str, where: int, flip: int) -> str:
    """The token with one of its 69 bytes changed."""
    raw = bytearray(base64.urlsafe_b64decode(text[5:]))
    raw[where] ^= flip
    return "krt1_" + base64.urlsafe_b64encode(raw).decode()
