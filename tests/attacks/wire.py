"""One kept-alive connection that speaks octets and reads answers by the letter of RFC 9112."""

import asyncio
from dataclasses import dataclass, field

from support.site import Conversation

PATIENCE = 60.0


class Silence(Exception):
    """The server hung up, or said nothing, where an answer was owed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes = field(repr=False)

    def every(self, name: str) -> list[str]:
        """Return each value of a header."""
        return [value for one, value in self.headers if one == name]

    def header(self, name: str) -> str:
        """Return the first value of a header, or nothing."""
        return next(iter(self.every(name)), "")


@dataclass
class Line:
    """Asks one port, one request after the other, and dials again when it was hung up on."""

    port: int
    conversation: Conversation | None = None

    async def ask(self, raw: bytes, *, bodiless: bool = False) -> Answer:
        """Send a request and return its answer; a stale connection is no answer, and redialled."""
        was_open = self.conversation is not None and not self._is_over()
        try:
            return await self._exchange(raw, bodiless=bodiless)
        except Silence:
            self.close()
            if not was_open:
                raise
        return await self._exchange(raw, bodiless=bodiless)

    def _is_over(self) -> bool:
        assert self.conversation is not None
        assert not self.conversation.reader._buffer, "an answer that nobody asked for"
        return self.conversation.reader.at_eof() or self.conversation.writer.is_closing()

    async def _exchange(self, raw: bytes, *, bodiless: bool) -> Answer:
        if self.conversation is None or self._is_over():
            self.close()
            self.conversation = await Conversation.begin(self.port)
        try:
            async with asyncio.timeout(PATIENCE):
                await self.conversation.send(raw)
                answer = await read_answer(self.conversation.reader, bodiless=bodiless)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
            raise Silence(f"{type(error).__name__} instead of an answer") from error
        if answer.header("connection").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Hang up."""
        if self.conversation is not None:
            self.conversation.writer.close()
        self.conversation = None


async def read_answer(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Answer:
    """Read one final answer."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        status = int(status_line.split(" ")[1])
        if status >= 200:
            break
    headers = tuple(
        (name.lower(), value.strip()) for name, _, value in (one.partition(":") for one in lines)
    )
    answer = Answer(status, headers, b"", head)
    if bodiless or status in {204, 304}:
        return answer
    body = await _body(reader, answer)
    return Answer(status, headers, body, head + body)


async def _body(reader: asyncio.StreamReader, answer: Answer) -> bytes:
    if length := answer.header("content-length"):
        return await reader.readexactly(int(length))
    if answer.header("transfer-encoding") != "chunked":
        return await reader.read()
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(pieces)
