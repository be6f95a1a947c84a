"""One session's part of a history: when it ended, who attacked it, which token was when current."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import inf

from chaos.history import ENDINGS, Event
from chaos.promises import Promises

Span = tuple[float, float]


@dataclass(frozen=True)
class Story:
    """Everything about one session, in order."""

    session: str
    events: Sequence[Event]
    promises: Promises
    lags: Sequence[Span]
    """When a standby that was promoted afterwards lagged."""
    losses: Sequence[Span]
    """When rotations that somebody was told of may have been undone."""

    def of(self, *kinds: str) -> Sequence[Event]:
        """Return the events of these kinds."""
        return [one for one in self.events if one.kind in kinds]

    @cached_property
    def ended_at(self) -> float:
        """From when on it has ended, because somebody was told so."""
        known = [one.at for one in self.of(*ENDINGS) if one.is_good]
        return min([*known, self.reuse_seen_at], default=inf)

    @cached_property
    def may_have_ended_at(self) -> float:
        """From when on its owner may be refused: somebody asked for its end, answered or not."""
        return min((one.began for one in self.of(*ENDINGS, "replay")), default=inf)

    def may_have_ended_before(self, event: Event) -> bool:
        """Whether something else than this may have ended it before its answer, or it is lost."""
        if self.never_ended:
            return False
        others = (one.began for one in self.of(*ENDINGS, "replay") if one is not event)
        asked_for = min(others, default=inf) < event.at
        return asked_for or self.was_forgotten or self.presented_late(event)

    def is_misdated(self, event: Event) -> bool:
        """Whether a replica with a wrong clock may have said that a token is not active."""
        on = set(event.fault.split("+"))
        return event.kind == "introspect" and bool(on & self.promises.misdating)

    @cached_property
    def reuse_seen_at(self) -> float:
        """When a thief was told no: any use of a superseded token ends the session."""
        told = (one.at for one in self.of("replay") if one.error == "invalid_grant")
        return min(told, default=inf)

    @cached_property
    def was_forgotten(self) -> bool:
        """It began in the lag of a standby that was promoted, and no row is left of it."""
        return self._lies_in(self.lags, "sign_in") and self.reason == "missing"

    @cached_property
    def may_be_undone(self) -> bool:
        """Its end, or its beginning, was in the lag of a standby that was promoted."""
        return self._lies_in(self.lags, "sign_in", *ENDINGS, "replay")

    @cached_property
    def never_ended(self) -> bool:
        """Whether it lives at the end, and no end of it that was asked for may have been lost.

        A primary that is lost may have shown an end that its standby never heard of.
        """
        lost = self.may_be_undone or self._lies_in(self.losses, *ENDINGS, "replay")
        return self.lives and not lost

    @cached_property
    def reason(self) -> str:
        """Why the database says that it ended: "" for alive, "missing" for no row."""
        return next((one.error for one in self.of("row")), "")

    @property
    def lives(self) -> bool:
        """Whether the database says at the end that it never ended."""
        return bool(self.of("row")) and not self.reason

    @cached_property
    def newest(self) -> int:
        """The newest generation that was given to anybody."""
        return max((one.given for one in self.events), default=-1)

    def presented_late(self, refusal: Event) -> bool:
        """Whether its own app asked, then or before, with a token at the end of its grace or after.

        It was told to ask again within it (docs/rotation.md); after an outage that outlasts the
        grace it can only try, and that looks like theft.
        """
        if self.reason != "reuse":
            return False
        return any(
            one.at >= self.left_at(one.generation) + self.promises.grace
            for one in self.of("refresh")
            if not one.is_good and one.began <= refusal.at
        )

    def left_at(self, generation: int) -> float:
        """Return a time before which the session had not left this generation.

        Every answer that gave it was decided while it was current, so later than its question;
        and nothing leaves a token that nobody has presented.
        """
        given = [one.began for one in self.events if one.given == generation]
        asked = [one.began for one in self.events if one.generation == generation]
        return max(max(given, default=-inf), min(asked, default=inf))

    def superseded_at(self, generation: int, before: float) -> float:
        """Return when this generation was known to be beyond any grace, as far as `before` tells.

        Its grandchild was given, or its child a grace ago: giving it again prolongs nothing. What
        was given before rotations were lost does not count, as a session that heals has a new grace.
        """
        lost_until = max((end for begin, end in self.losses if begin <= before), default=-inf)
        answers = [one for one in self.events if one.at <= before]
        grandchild = min((one.at for one in answers if one.given > generation + 1), default=inf)
        given = [one for one in answers if one.given == generation + 1]
        child = min((one.at for one in given if one.began >= lost_until), default=inf)
        return min(grandchild, child + self.promises.grace)

    def _lies_in(self, found: Sequence[Span], *kinds: str) -> bool:
        return any(
            one.began <= end and one.at >= begin for one in self.of(*kinds) for begin, end in found
        )


def stories(events: Iterable[Event], promises: Promises) -> Sequence[Story]:
    """Return one story for each session."""
    history = list(events)
    found = spans(history)
    lags = [(begin, end) for fault, begin, end in found if fault in promises.forgetting]
    losses = [(begin, end) for fault, begin, end in found if fault in promises.losing]
    ordered = sorted((one for one in history if one.session), key=lambda one: one.session)
    grouped = groupby(ordered, key=lambda one: one.session)
    return [Story(session, list(group), promises, lags, losses) for session, group in grouped]


def spans(events: Iterable[Event]) -> Sequence[tuple[str, float, float]]:
    """Return id, beginning and end of each fault."""
    found, on = [], {}
    for one in events:
        if one.kind == "fault" and one.error == "begins":
            on[one.fault] = one.at
        elif one.kind == "fault" and one.error == "ends":
            found.append((one.fault, on.pop(one.fault), one.at))
    return sorted([*found, *((fault, at, inf) for fault, at in on.items())], key=lambda one: one[1])
