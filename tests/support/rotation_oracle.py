"""The rotation page of the README, written a second time: what a refresh must answer, and why.

This module imports nothing of keyturn, on purpose. It parses and signs the wire format with the
standard library, and it knows each session's *lineage*: every token the session can ever have, by
position. So its decision compares positions where the server compares hashes, and the two cannot
share a mistake about derivation, order or time.

Times are aware datetimes of the database's clock; nothing here reads a clock.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

MOST_STEPS = 10_000
TAG_LABEL = b"keyturn refresh tag v1"
DERIVE_LABEL = b"keyturn refresh derive v1"


def hkdf(master: bytes, label: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, one block of output."""
    extracted = hmac.digest(bytes(32), master, hashlib.sha256)
    return hmac.digest(extracted, label + b"\x01", hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Wire:
    """A token as it travels: fields in order, 69 bytes, 92 characters after the prefix."""

    key_id: int
    session_id: bytes
    generation: int
    secret: bytes
    tag: bytes = b""

    @property
    def body(self) -> bytes:
        """Everything before the tag."""
        return (
            bytes([self.key_id])
            + self.session_id
            + self.generation.to_bytes(4, "big")
            + self.secret
        )

    @property
    def hash(self) -> bytes:
        """What the row stores."""
        return hashlib.sha256(self.body).digest()

    @property
    def expires_at(self) -> int:
        """When the id says the session is over: its first 48 bits, Unix milliseconds."""
        return int.from_bytes(self.session_id[:6], "big")

    def child(self, master: bytes) -> "Wire":
        """The next generation, without a tag."""
        generation = self.generation + 1
        message = self.session_id + generation.to_bytes(4, "big") + self.secret
        secret = hmac.digest(hkdf(master, DERIVE_LABEL), message, hashlib.sha256)
        return Wire(self.key_id, self.session_id, generation, secret)


def parse(text: str) -> Wire | None:
    """Read a token's fields; None when it has not the form of one."""
    if not re.fullmatch(r"krt1_[A-Za-z0-9_-]{92}", text):
        return None
    raw = base64.urlsafe_b64decode(text[5:])
    return Wire(raw[0], raw[1:17], int.from_bytes(raw[17:21], "big"), raw[21:53], raw[53:])


def sign(wire: Wire, client_id: str, master: bytes) -> str:
    """Write a token for a client, as somebody does who holds the master secret."""
    body = wire.body
    return "krt1_" + base64.urlsafe_b64encode(body + tag_of(wire, client_id, master)).decode()


def tag_of(wire: Wire, client_id: str, master: bytes) -> bytes:
    """The tag that makes `wire` genuine for that client."""
    key = hkdf(master, TAG_LABEL)
    return hmac.digest(key, b"krt1" + wire.body + client_id.encode(), hashlib.sha256)[:16]


@dataclass(slots=True)
class Lineage:
    """Every token one session can ever have, by generation."""

    client_id: str
    master: bytes
    first: Wire
    secrets: list[bytes]
    """One for each generation, as far as anybody asked."""

    @classmethod
    def of(cls, first: str, client_id: str, master: bytes) -> "Lineage":
        """Start from the text of generation 0."""
        wire = parse(first)
        assert wire is not None, "the first token is malformed"
        assert wire.generation == 0
        assert wire.tag == tag_of(wire, client_id, master), "the first token's tag is not right"
        return cls(client_id, master, replace(wire, tag=b""), [wire.secret])

    def wire(self, generation: int) -> Wire:
        """The token of that generation, without a tag."""
        if generation >= len(self.secrets):
            self._derive_up_to(generation)
        return replace(self.first, generation=generation, secret=self.secrets[generation])

    def _derive_up_to(self, generation: int) -> None:
        key, session_id = hkdf(self.master, DERIVE_LABEL), self.first.session_id
        secret = self.secrets[-1]
        for following in range(len(self.secrets), generation + 1):
            message = session_id + following.to_bytes(4, "big") + secret
            secret = hmac.digest(key, message, hashlib.sha256)
            self.secrets.append(secret)

    def text(self, generation: int) -> str:
        """What the client was, or will be, given."""
        return sign(self.wire(generation), self.client_id, self.master)

    def position(self, wire: Wire, furthest: int) -> int | None:
        """Which generation `wire` is; None when it is none of ours up to `furthest`."""
        if wire.generation > furthest:
            return None
        return wire.generation if self.wire(wire.generation).body == wire.body else None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client is to the rule."""

    client_id: str
    grace: timedelta
    scopes: frozenset[str]
    audiences: frozenset[str]
    """Resources it may have tokens for now, the server's own endpoints among them."""
    rotates: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """One use of a token: by which client, with what wishes and proof, at which moments."""

    text: str
    terms: Terms
    now: datetime
    """The database's clock."""
    process_now: datetime
    """The clock of the process that answers; only the expiry inside the id is held against it."""
    secrets: Mapping[int, bytes] = field(repr=False, compare=False)
    scopes: frozenset[str] = frozenset()
    audiences: tuple[str, ...] = ()
    dpop_jkt: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What must come of it: the metric's label, and either the token or the error code."""

    outcome: str
    token: str | None = None
    error: str | None = None
    scopes: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    decided_early: bool = False
    """Before the database: shape, secret, tag, expiry by the id."""


@dataclass(frozen=True, slots=True)
class Record:
    """The part of the row that rotation moves, as positions in the lineage."""

    generation: int
    rotated_at: datetime
    idle_expires_at: datetime
    expires_at: datetime
    revoke_reason: str | None = None


@dataclass(slots=True)
class Oracle:
    """One session as the paper has it; `record` is None once the row was purged."""

    lineage: Lineage
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    idle_lifetime: timedelta
    record: Record | None
    dpop_jkt: str | None = None

    def copy(self) -> "Oracle":
        """The same session, to try another order of events on."""
        return replace(self)

    def refresh(self, ask: Ask) -> Verdict:
        """Say what becomes of one refresh, and move the record as the database must."""
        wire = parse(ask.text)
        if wire is None or wire.key_id not in ask.secrets:
            return refused("unknown", early=True)
        if wire.tag != tag_of(wire, ask.terms.client_id, ask.secrets[wire.key_id]):
            return refused("unknown", early=True)
        if wire.expires_at < unix_milliseconds(ask.process_now):
            return refused("expired", early=True)
        if self.record is None or wire.session_id != self.lineage.first.session_id:
            return refused("unknown")
        return self._on_row(self.record, wire, ask)

    def _on_row(self, row: Record, wire: Wire, ask: Ask) -> Verdict:
        ours = self.lineage.position(wire, row.generation + 1)
        ahead = ours == row.generation + 1
        if row.revoke_reason is not None:
            return refused("revoked")
        idle_limit = row.idle_expires_at + (self.idle_lifetime if ahead else timedelta(0))
        if ask.now >= row.expires_at or ask.now >= idle_limit:
            return refused("expired")
        if self.dpop_jkt is not None and self.dpop_jkt != ask.dpop_jkt:
            return Verdict("refused", error="invalid_dpop_proof")
        if ours is None:
            return refused("alarm")
        if ours >= row.generation:
            return self._wishes(ask) or self._newest(row, ours, ask)
        return self._older(row, ours, ask)

    def _newest(self, row: Record, ours: int, ask: Ask) -> Verdict:
        """The current token, or the child whose commit was lost."""
        if ours > row.generation:
            self._move(row, ours, ask.now)
            return self._granted("healed", ours, ask)
        if not ask.terms.rotates:
            self.record = replace(row, idle_expires_at=self._slid(row, ask.now))
            return self._granted("kept", ours, ask)
        if row.generation > 0 and in_grace(row, ask):
            return self._granted("coalesced", ours, ask)
        self._move(row, ours + 1, ask.now)
        return self._granted("rotated", ours + 1, ask)

    def _older(self, row: Record, ours: int, ask: Ask) -> Verdict:
        """The parent in flight, or a token whose time is over."""
        steps = row.generation - ours
        in_flight = in_grace(row, ask) or row.rotated_at > ask.now or self.dpop_jkt is not None
        if steps == 1 and in_flight:
            return self._wishes(ask) or self._granted("replayed", row.generation, ask)
        if steps > MOST_STEPS:
            return refused("alarm")
        self.record = replace(row, revoke_reason="reuse")
        return refused("reuse")

    def _move(self, row: Record, generation: int, now: datetime) -> None:
        self.record = replace(
            row, generation=generation, rotated_at=now, idle_expires_at=self._slid(row, now)
        )

    def _slid(self, row: Record, now: datetime) -> datetime:
        return min(now + self.idle_lifetime, row.expires_at)

    def _wishes(self, ask: Ask) -> Verdict | None:
        """A refusal when more is asked for than this session has and this client may have."""
        if not ask.scopes <= self.scopes & ask.terms.scopes:
            return Verdict("refused", error="invalid_scope")
        left = set(self.audiences) & ask.terms.audiences
        if not left or not set(ask.audiences) <= left:
            return Verdict("refused", error="invalid_target")
        return None

    def _granted(self, outcome: str, generation: int, ask: Ask) -> Verdict:
        return Verdict(
            outcome,
            token=self.lineage.text(generation),
            scopes=(ask.scopes or self.scopes) & ask.terms.scopes,
            audiences=frozenset(ask.audiences) or ask.terms.audiences & set(self.audiences),
        )

    def log_out(self, ask: Ask) -> bool:
        """End the session if `ask.text` is any generation of it; whether it was recognised.

        Of a session that is over nobody asks which generation: there is nothing left to end.
        """
        wire = parse(ask.text)
        row = self.record
        if wire is None or row is None or wire.key_id not in ask.secrets:
            return False
        if wire.tag != tag_of(wire, ask.terms.client_id, ask.secrets[wire.key_id]):
            return False
        if wire.expires_at < unix_milliseconds(ask.process_now):
            return False
        if row.revoke_reason is not None or ask.now >= row.expires_at:
            return True
        ours = self.lineage.position(wire, row.generation + 1)
        if ours is None or row.generation - ours > MOST_STEPS:
            return False
        self.record = replace(row, revoke_reason="logout")
        return True


def refused(outcome: str, *, early: bool = False) -> Verdict:
    """The one answer a holder of a bad token gets, whatever the reason."""
    return Verdict(outcome, error="invalid_grant", decided_early=early)


def unix_milliseconds(at: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def in_grace(row: Record, ask: Ask) -> bool:
    """Whether the last rotation is inside the grace, on either side of now."""
    grace = ask.terms.grace
    return ask.now - grace < row.rotated_at <= ask.now + grace
