"""A TLS front as some operator has set it up: it changes answers, or sends requests elsewhere."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.tls_front import Message, TlsFront, listening

Change = Callable[[str, Message], Message]
"""Takes the target of a request and the server's answer; returns what the client is given."""


def unchanged(_target: str, answer: Message) -> Message:
    return answer


@dataclass(eq=False)
class RewritingFront(TlsFront):
    """`change` is done to every answer; targets in `elsewhere` go to that port of this machine."""

    change: Change = unchanged
    elsewhere: tuple[str, int] = ("", 0)

    def _port_for(self, question: Message) -> int:
        prefix, port = self.elsewhere
        return port if prefix and question.first[1].startswith(prefix.encode()) else self.target

    async def _ask(self, question: Message) -> Message:
        return self.change(question.first[1].decode(), await super()._ask(question))


@asynccontextmanager
async def rewriting_front(folder: Path) -> AsyncIterator[RewritingFront]:
    """Listen until the end of the block; `target` is told later, when the server runs."""
    async with listening(folder, RewritingFront) as front:
        yield front


def without(name: str) -> Callable[[bytes], bytes]:
    """Return what takes a header out of a head."""

    def drop(head: bytes) -> bytes:
        lines = head.split(b"\r\n")
        return b"\r\n".join(one for one in lines if not one.lower().startswith(f"{name}:".encode()))

    return drop


def having(name: str, value: str) -> Callable[[bytes], bytes]:
    """Return what sets a header in a head, instead of what was there."""

    def put(head: bytes) -> bytes:
        first, _, rest = without(name)(head).partition(b"\r\n")
        return b"\r\n".join([first, f"{name}: {value}".encode(), rest])

    return put


def at(path: str, change: Callable[[bytes], bytes]) -> Change:
    """Return what changes the heads of answers at one path."""

    def changed(target: str, answer: Message) -> Message:
        return Message(change(answer.head), answer.body) if target.startswith(path) else answer

    return changed


def instead(path: str, status: str, body: bytes) -> Change:
    """Return what answers a path by itself."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {len(body)}\r\n\r\n"

    def changed(target: str, answer: Message) -> Message:
        return Message(head.encode(), body) if target.startswith(path) else answer

    return changed


def with_body(path: str, change: Callable[[bytes], bytes]) -> Change:
    """Return what changes the bodies of answers at one path."""

    def changed(target: str, answer: Message) -> Message:
        if not target.startswith(path):
            return answer
        body = change(answer.body)
        return Message(having("content-length", str(len(body)))(answer.head), body)

    return changed
