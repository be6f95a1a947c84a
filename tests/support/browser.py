"""A browser with one jar and many pages, in virtual time: who overtakes whom, and what is left.

Pages load and call refresh while other loads are still waiting for their answers. A call carries
what the jar holds when it is *sent*; it reaches the server later, and its answer comes back later
still, in any order, or not at all. Nothing here knows what a token is or when one is good: the
server is a coroutine that is told the time and the token.
"""

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count

RETRY_AFTER = 1.0
"""Seconds until a page that got no answer asks again, with what the jar then holds."""


class Storing(Enum):
    """What becomes of the token in an answer that arrives."""

    COMPARING = auto()
    """An app: stored only if its store still holds the token it sent."""
    OBEYING = auto()
    """A cookie jar: every Set-Cookie is stored, and an unchanged token comes without one."""
    NAIVE = auto()
    """A cookie jar whose server sends Set-Cookie with every answer: what must not be done."""


@dataclass(frozen=True, slots=True)
class Call:
    """One refresh by a page; all times in seconds."""

    sent_at: float
    travel: float
    """Until the server decides."""
    answer: float
    """From the decision until the answer is there."""
    lost: bool = False
    """The answer never arrives; the page asks again."""


@dataclass(frozen=True, slots=True)
class Network:
    """What an honest connection still guarantees when it is bad."""

    patience: float
    """Of the answers that bring the successor of one token, one arrives so soon after the first
    of them was decided. (One whose answers are all lost is out of reach: see the README.)"""
    longest: float
    """No call takes longer, there and back."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the server said: a token, or that the session is over."""

    token: str | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story, for a failing test to print."""

    at: float
    event: str

    def __str__(self) -> str:
        return f"{self.at:9.3f}s  {self.event}"


Happening = Callable[[float], Awaitable[None]]
"""What happens at a time of the story, in seconds."""

Server = Callable[[float, str], Awaitable[Answered]]


@dataclass(slots=True)
class Browser:
    """Runs calls against a server and keeps the jar."""

    server: Server
    jar: str
    storing: Storing
    network: Network
    story: list[Line] = field(default_factory=list)
    signed_out: bool = False
    outcomes: list[str] = field(default_factory=list)
    _events: list[tuple[float, int, Happening]] = field(default_factory=list)
    _order: "count[int]" = field(default_factory=count)
    _promised: dict[str, float] = field(default_factory=dict)
    """Until when a successor of a token must have arrived, once one was decided."""
    _delivered: set[str] = field(default_factory=set)
    """Tokens for which an answer in time is on its way or there."""
    _names: dict[str, str] = field(default_factory=dict)

    async def live_through(
        self,
        calls: Sequence[Call],
        faults: Sequence[tuple[float, str, Callable[[float], Awaitable[None]]]] = (),
    ) -> None:
        """Run every call, in the order of virtual time, until the session is over or all is done.

        `faults` are (time, name, what happens then): crashes, clocks, secrets.
        """
        for call in calls:
            self._at(call.sent_at, self._sending(call))
        for at, name, happen in faults:
            self._at(at, self._failing(name, happen))
        while self._events and not self.signed_out:
            at, _, happen = heapq.heappop(self._events)
            await happen(at)

    def tell(self) -> str:
        """The story so far, a line an event."""
        return "\n".join(map(str, self.story))

    def _at(self, at: float, happen: Happening) -> None:
        heapq.heappush(self._events, (at, next(self._order), happen))

    def _sending(self, call: Call) -> Happening:
        async def send(at: float) -> None:
            self._note(at, f"sent {self._name(self.jar)}")
            self._at(at + call.travel, self._deciding(call, self.jar))

        return send

    def _failing(self, name: str, happen: Happening) -> Happening:
        async def fail(at: float) -> None:
            self._note(at, f"FAULT: {name}")
            await happen(at)

        return fail

    def _deciding(self, call: Call, sent: str) -> Happening:
        async def decide(at: float) -> None:
            answered = await self.server(at, sent)
            self.outcomes.append(answered.outcome)
            what = f"{self._name(sent)}: {answered.outcome}"
            self._note(at, f"decided {what} {self._name(answered.token)}")
            if answered.token is None:
                self.signed_out = True
                return
            self._post(at, call, sent, answered.token)

        return decide

    def _post(self, at: float, call: Call, sent: str, token: str) -> None:
        """Put an answer on its way, and see to it that the network keeps its promise."""
        arrives = at + min(call.answer, self.network.longest - call.travel)
        lost = call.lost
        if token != sent and sent not in self._delivered:
            promised = self._promised.setdefault(sent, at + self.network.patience)
            if not lost:
                arrives = min(arrives, promised)
                self._delivered.add(sent)
        if lost:
            again = Call(at + RETRY_AFTER, min(call.travel, 0.5), call.answer)
            self._at(again.sent_at, self._sending(again))
        else:
            self._at(arrives, self._arriving(sent, token))

    def _arriving(self, sent: str, token: str) -> Happening:
        async def arrive(at: float) -> None:
            if self._stores(sent, token):
                self.jar = token
                self._note(at, f"arrived {self._name(token)}, stored")
            else:
                self._note(at, f"arrived {self._name(token)}, not stored")

        return arrive

    def _stores(self, sent: str, token: str) -> bool:
        if self.storing is Storing.NAIVE:
            return True
        if token == sent:
            return False
        return self.storing is Storing.OBEYING or self.jar == sent

    def _note(self, at: float, event: str) -> None:
        self.story.append(Line(at, event))

    def _name(self, token: str | None) -> str:
        if token is None:
            return ""
        return self._names.setdefault(token, f"T{len(self._names)}")
