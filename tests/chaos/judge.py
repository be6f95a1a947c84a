"""The verdict over a history: four counts that must be zero, and what each fault cost.

Pure: the same history, the same verdict. Nothing is asked of the servers, and no log is read. What
the documents do not promise is not counted among the four, but it is counted and shown.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaos.history import ENDINGS, Event
from chaos.promises import Promises
from chaos.story import Story, stories
from chaos.windows import Window, p99_outside, windows

GIVING = ("refresh", "replay", "foreign", "posthumous")
"""Kinds that present a refresh token, and may be given one."""
TRIED = ("sign_in", "refresh", "log_out", "log_out_all", "revoke", "call", "introspect")
ATTACKS = ("replay", "foreign", "posthumous")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, each finding a sentence."""

    lost: Sequence[str]
    """Sign-ins that an app lost without having done anything wrong."""
    forked: Sequence[str]
    """Second children of one token, and tokens that are no child of what was presented."""
    accepted: Sequence[str]
    """Revoked or reused tokens that were accepted after their bound."""
    blamed: Sequence[str]
    """4xx for trouble that was the server's own."""
    excused: Mapping[str, int]
    """What the documents say is not covered."""
    undone: Mapping[str, int]
    """Rotations that each fault undid: those had to heal."""
    counts: Mapping[str, int]
    windows: Sequence[Window]
    p99_outside: float | None
    untried: Sequence[str]
    """What the run never did: zeros that say nothing."""

    @property
    def zeros(self) -> Mapping[str, int]:
        """The four counts."""
        return {
            "sign-ins lost": len(self.lost),
            "double lineages": len(self.forked),
            "revoked or reused tokens accepted after their bound": len(self.accepted),
            "4xx caused by infrastructure": len(self.blamed),
        }

    @property
    def holds(self) -> bool:
        """Whether all four are zero, and say something."""
        return not self.untried and not any(self.zeros.values())


def judge(events: Sequence[Event], promises: Promises) -> Verdict:
    """Return the verdict."""
    told = stories(events, promises)
    excused = Counter(reason for one in told for reason in excuses(one)) + troubles(events)
    counts = Counter(one.kind for one in events if one.kind not in {"fault", "undone", "row"})
    return Verdict(
        lost=[*(said for one in told for said in lost(one)), *shut_out(events)],
        forked=[said for one in told for said in forked(one)],
        accepted=[said for one in told for said in accepted(one)],
        blamed=[*strangers_blamed(events), *(said for one in told for said in blamed(one))],
        excused=excused,
        undone=undone(events),
        counts=counts,
        windows=windows(events),
        p99_outside=p99_outside(events),
        untried=[*untried(events)],
    )


def untried(events: Sequence[Event]) -> Iterator[str]:
    """Name what was never decided: done for who may, refused to who may not."""
    done = {one.kind for one in events if one.is_good}
    refused = {one.kind for one in events if one.is_refused}
    yield from (kind for kind in TRIED if kind not in done)
    yield from (kind for kind in ATTACKS if kind not in refused)
    if not any(one.kind == "call" and one.error == "revoked" for one in events):
        yield "a call told revoked"
    if not any(one.kind == "fault" and one.error == "ends" for one in events):
        yield "any fault"


def is_explained(story: Story, refusal: Event) -> bool:
    """Whether an owner may be refused: it, or a thief, or a lag that nobody waited for, did it."""
    if story.never_ended:
        return False
    is_asked_for = story.may_have_ended_at < refusal.at
    return is_asked_for or story.was_forgotten or story.presented_late(refusal)


def unexplained(story: Story) -> Iterator[Event]:
    """Yield the refusals of a session's owner that nothing explains."""
    for one in story.of("refresh"):
        if one.is_refused and not is_explained(story, one):
            yield one


def lost(story: Story) -> Iterator[str]:
    """Say that the owner was told to sign in again, or is not answered at the end."""
    for one in unexplained(story):
        if one.error == "invalid_grant":
            row = story.reason or "alive"
            yield _said(one, f"is told {one.error}; the row is {row}")
            return
    asked = story.of("refresh")
    # Who asked to leave has stopped asking for anything else, answered or not.
    if asked and _is_unanswered(asked[-1]) and story.lives and not story.of("log_out"):
        yield _said(asked[-1], "is never answered again")


def shut_out(events: Sequence[Event]) -> Iterator[str]:
    """Say that an app was never let in again, although it asked to the end."""
    last = {one.app: one for one in events if one.kind == "sign_in"}
    for one in last.values():
        if _is_unanswered(one):
            yield _said(one, "is never answered again")


def forked(story: Story) -> Iterator[str]:
    """Say that one token had two children, or that an answer was no child of the question."""
    known: dict[int, str] = {}
    for one in story.of("sign_in", *GIVING):
        if one.given < 0:
            continue
        if known.setdefault(one.given, one.token) != one.token:
            yield _said(one, f"is given a second token of generation {one.given}")
        if one.kind != "sign_in" and one.given not in {one.generation, one.generation + 1}:
            yield _said(one, f"is given generation {one.given}")


def accepted(story: Story) -> Iterator[str]:
    """Say that something was good after it had ended, or had been superseded for a grace."""
    for one in story.events:
        if _is_accepted(one) and one.began > _bound(story, one) and not story.may_be_undone:
            yield _said(one, f"is accepted {one.began - story.ended_at:.1f} s after the end")
    for one in story.of("refresh", "replay", "foreign"):
        if one.is_good and one.began > story.superseded_at(one.generation, one.began):
            yield _said(one, "is answered although it was superseded")


def blamed(story: Story) -> Iterator[str]:
    """Say that a caller was blamed although its session was, and stayed, alive."""
    for one in unexplained(story):
        if one.error != "invalid_grant" or story.lives:
            yield _said(one, f"is told {one.status} {one.error}; the row is alive")
    for one in story.of("call", "introspect", *ENDINGS):
        if _is_wrongly_denied(story, one) and not story.is_misdated(one):
            yield _said(one, f"is told {one.status} {one.error}")


def strangers_blamed(events: Sequence[Event]) -> Iterator[str]:
    """Say that a request about no session of a history was blamed: a sign-in with a password."""
    for one in events:
        if not one.session and one.is_refused:
            yield _said(one, f"is told {one.status} {one.error}")


def excuses(story: Story) -> Iterator[str]:
    """Name what the documents do not promise, each time it is seen."""
    refused = [one for one in story.of("refresh") if one.is_refused]
    if refused and story.may_have_ended_at > refused[0].at:
        if story.was_forgotten:
            yield "session forgotten by a lagging standby"
        elif story.presented_late(refused[0]):
            yield "retried after the grace"
    late = (one for one in story.events if _is_accepted(one) and one.began > _bound(story, one))
    if story.may_be_undone and any(late):
        yield "end undone by a lagging standby"
    for one in story.of("introspect"):
        if _is_wrongly_denied(story, one) and story.is_misdated(one):
            yield "told inactive while the clock of a replica was wrong"


def troubles(events: Sequence[Event]) -> Counter[str]:
    """Count what is no verdict, and should be rare: a limit, and a failure that nobody foresaw."""
    names = {429: "told 429", 500: "answered 500"}
    return Counter(names[one.status] for one in events if one.status in names)


def undone(events: Sequence[Event]) -> Counter[str]:
    """Count the rotations that were undone, by the fault."""
    found: Counter[str] = Counter()
    for one in events:
        if one.kind == "undone":
            found[one.fault] += int(one.error)
    return found


def _is_unanswered(event: Event) -> bool:
    """Whether it says neither yes nor no: trouble, or a limit."""
    return not event.is_good and not event.is_refused


def _is_accepted(event: Event) -> bool:
    """Whether a token of the session was taken for good."""
    if event.kind == "introspect":
        return event.is_good and event.error not in {"inactive", "expired"}
    return event.is_good and event.kind in {"refresh", "posthumous", "replay", "call"}


def _is_wrongly_denied(story: Story, event: Event) -> bool:
    is_denied = event.is_refused or event.error == "inactive"
    return is_denied and not story.may_have_ended_before(event)


def _bound(story: Story, event: Event) -> float:
    promises = story.promises
    bounds = {"introspect": promises.introspection, "call": promises.offline}
    return story.ended_at + bounds.get(event.kind, promises.refresh)


def _said(event: Event, what: str) -> str:
    during = f" during {event.fault}" if event.fault else ""
    token = f" of generation {event.generation}" if event.generation >= 0 else ""
    who = f"{event.app}, session {event.session or 'none'}"
    return f"{event.at:.1f} s{during}: {event.kind}{token} by {who}, {what}"
