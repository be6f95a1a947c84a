"""Tells clients of sessions that ended (OpenID Connect Back-Channel Logout 1.0); any replica does.

A delivery is claimed for one attempt, made, and forgotten once the client has acknowledged or
refused it. Everything else, the death of this process too, leaves the row for a later attempt, by
whoever comes first. So a client hears of a logout at least once; twice is no harm.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from keyturn.clock import Clock
from keyturn.db.pool import Database
from keyturn.errors import Unavailable
from keyturn.logouts import queue
from keyturn.logouts.model import Delivery, Outcome, outcome_of
from keyturn.logouts.receivers import Receivers
from keyturn.outgoing.client import Message, Outgoing
from keyturn.outgoing.trouble import OutgoingFailed
from keyturn.settings import JobsSettings
from keyturn.telemetry.audit import Audit, AuditEvent, Detail
from keyturn.telemetry.event_types import EventType
from keyturn.telemetry.metrics import Metrics
from keyturn.tokens.logout_token import LogoutTokens

MEASURE: Final = 15.0
"""Seconds between two looks at how much waits."""

PACE: Final = 0.01
"""Seconds between two calls that begin: each costs a signature and a handshake, and after a sweep
over thousands of sessions people still sign in here."""

log = structlog.get_logger("keyturn.jobs")


@dataclass(slots=True, eq=False)
class DeliverLogouts:
    """The delivering job of one process."""

    database: Database
    tokens: LogoutTokens
    outgoing: Outgoing
    audit: Audit
    metrics: Metrics
    clock: Clock
    settings: JobsSettings
    receivers: Receivers = field(default_factory=Receivers)
    _place_free: asyncio.Event = field(default_factory=asyncio.Event)
    _failing: bool = False

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then is left for a later attempt."""
        async with asyncio.TaskGroup() as calls:
            while True:
                self._place_free.clear()
                claimed = await self._claim()
                for delivery in claimed:
                    self.receivers.begin(delivery.client_id)
                    calls.create_task(self._deliver(delivery))
                await asyncio.sleep(PACE * len(claimed))
                if not claimed or not self.receivers.free:
                    await self._wait()

    async def measure(self) -> None:
        """Note how much waits. Raises `Unavailable`."""
        backlog = await queue.measure(self.database)
        self.metrics.logout_queue.set(backlog.length)
        self.metrics.logout_oldest.set(backlog.oldest)

    async def _claim(self) -> Sequence[Delivery]:
        """Take what is due, one of each client that may be called; trouble is told once."""
        if not self.receivers.free or not self.tokens.keyring.is_usable:
            return ()
        lifetime = timedelta(seconds=self.settings.logout_lifetime)
        resting = self.receivers.resting(self.clock.monotonic())
        try:
            claimed = await queue.claim(self.database, lifetime, self.receivers.free, resting)
        except Unavailable as trouble:
            if not self._failing:
                log.warning("deliver_logouts_failing", reason=trouble.detail)
            self._failing = True
            return ()
        self._failing = False
        return claimed

    async def _wait(self) -> None:
        """Until a call is over, or it is time to look again."""
        try:
            async with asyncio.timeout(self.settings.logout_interval):
                await self._place_free.wait()
        except TimeoutError:
            return

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            if delivery.is_late:
                await self._give_up(delivery, delivery.attempt - 1)
            else:
                await self._attempt(delivery)
        except Unavailable as trouble:
            # Nothing is lost: the row is due again, and a client that has heard hears it twice.
            log.warning("logout_not_noted", client_id=delivery.client_id, reason=trouble.detail)
        finally:
            self.receivers.end(delivery.client_id)
            self._place_free.set()

    async def _attempt(self, delivery: Delivery) -> None:
        outcome, status = await self._call(delivery)
        if outcome == "failed":
            if delivery.is_last:
                await self._give_up(delivery, delivery.attempt)
            return
        forgotten = await queue.finish(self.database, delivery.session_id)
        if outcome == "refused" and forgotten:
            self._audit("logout_refused", delivery, {"status": status})

    async def _call(self, delivery: Delivery) -> tuple[Outcome, int]:
        """Make the call, count it, and note whether the client answers."""
        if delivery.uri is None:
            self.receivers.failed(delivery.client_id, self.clock.monotonic())
            return "failed", 0
        message = Message.form(delivery.uri, {"logout_token": self.tokens.for_delivery(delivery)})
        try:
            answer = await self.outgoing.send(message)
        except OutgoingFailed as trouble:
            blocked = trouble.reason == "blocked"
            self.metrics.logout_deliveries("blocked" if blocked else "failed")
            self._note_failure(delivery, str(trouble))
            return "failed", 0
        outcome = outcome_of(answer.status)
        self.metrics.logout_deliveries(outcome)
        if outcome == "failed":
            self._note_failure(delivery, f"status {answer.status}")
            return outcome, answer.status
        if outcome == "delivered":
            self.metrics.logout_delay.observe(delivery.waited.total_seconds())
        if self.receivers.answered(delivery.client_id):
            log.info("logout_receiver_recovered", client_id=delivery.client_id)
        return outcome, answer.status

    def _note_failure(self, delivery: Delivery, reason: str) -> None:
        if self.receivers.failed(delivery.client_id, self.clock.monotonic()):
            log.warning("logout_receiver_failing", client_id=delivery.client_id, reason=reason)

    async def _give_up(self, delivery: Delivery, attempts: int) -> None:
        if await queue.finish(self.database, delivery.session_id):
            self.metrics.logout_deliveries("given_up")
            self._audit("logout_given_up", delivery, {"attempts": attempts})

    def _audit(self, event: EventType, delivery: Delivery, detail: Detail) -> None:
        self.audit.record(
            AuditEvent(
                type=event,
                user_id=delivery.user_id,
                client_id=delivery.client_id,
                session_id=delivery.session_id,
                result="failed",
                detail=detail,
            )
        )
