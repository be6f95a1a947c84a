"""Accounts of another system, as JSON lines: `{id?, email, name?, password_hash, email_verified?}`.

A bad line is reported with its number and loses nothing else. An account that is there already
is skipped, so an import can be repeated. Hashes are checked for kind and cost, stored as they
are, and replaced when their owner first signs in. No hash is ever printed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keyturn.crypto import opaque
from keyturn.crypto.strict_json import parse_object
from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.errors import Refusal
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.users.email import EmailAddress, parse_email
from keyturn.users.foreign_hashes import check_importable
from keyturn.users.model import parse_name

SQL = load_queries(__package__, "users.sql")

BATCH = 500
LONGEST_LINE = 16 * 1024
"""Bytes of one line; a longer one is refused unread."""

_UTF8_MARK = b"\xef\xbb\xbf"


class ImportLine(BaseModel):
    """The shape of one line; unknown members are refused, so that nothing is lost unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[UUID, Field(strict=False)] | None = None
    email: str
    name: str | None = None
    password_hash: str = Field(repr=False)
    email_verified: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account a good line describes."""

    line: int
    id: UUID
    keeps_id: bool
    email: EmailAddress
    shape: ImportLine


@dataclass(frozen=True, slots=True)
class LineReport:
    """What became of a line that added nothing."""

    line: int
    outcome: Literal["skipped", "refused"]
    reason: str


@dataclass(slots=True)
class ImportCount:
    """How far an import has come."""

    added: int = 0
    skipped: int = 0
    refused: int = 0


@dataclass(slots=True)
class Importer:
    """One import; `tell` hears of each line that adds nothing, `progress` of each batch."""

    database: Database
    audit: Audit
    tell: Callable[[LineReport], None]
    progress: Callable[[ImportCount], None]

    async def run(self, lines: Iterable[bytes], *, strict: bool = False) -> ImportCount:
        """Import what is good; with `strict`, nothing unless every line is.

        Raises `Unavailable`; the batches before it are stored, and a second run skips them.
        """
        count = ImportCount()
        candidates = self._candidates(lines, count)
        if strict:
            candidates = iter(list(candidates))
            if count.refused:
                return count
        for batch in _batches(candidates):
            await self._store(batch, count)
            self.progress(count)
        return count

    def _candidates(self, lines: Iterable[bytes], count: ImportCount) -> Iterator[Candidate]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield _read(number, line.removeprefix(_UTF8_MARK) if number == 1 else line)
            except (ValueError, Refusal) as error:
                self._report(LineReport(number, "refused", _reason(error)), count)

    async def _store(self, batch: Sequence[Candidate], count: ImportCount) -> None:
        rows = await self.database.fetch(
            SQL["import_batch"],
            [one.id for one in batch],
            [one.email.text for one in batch],
            [one.email.key for one in batch],
            [parse_name(one.shape.name) for one in batch],
            [one.shape.email_verified for one in batch],
            [one.shape.password_hash for one in batch],
        )
        added = {(row["id"], row["email_key"]) for row in rows}
        count.added += len(added)
        if added:
            self.audit.record(AuditEvent(type="user_imported", detail={"added": len(added)}))
        left: list[Candidate] = []
        for one in batch:
            if (one.id, one.email.key) in added:
                added.remove((one.id, one.email.key))
            else:
                left.append(one)
        if left:
            await self._explain(left, count)

    async def _explain(self, left: Sequence[Candidate], count: ImportCount) -> None:
        """Tell a repeated account from one whose id or e-mail belongs to somebody else."""
        rows = await self.database.fetch(
            SQL["import_taken"], [one.id for one in left], [one.email.key for one in left]
        )
        by_email = {row["email_key"]: row["id"] for row in rows}
        ids = {row["id"] for row in rows}
        for one in left:
            holder = by_email.get(one.email.key)
            if one.keeps_id and holder is not None and holder != one.id:
                report = LineReport(one.line, "refused", "the e-mail belongs to another id")
            elif one.keeps_id and holder is None and one.id in ids:
                report = LineReport(one.line, "skipped", "the id has an account, or had one")
            else:
                report = LineReport(one.line, "skipped", "the account exists")
            self._report(report, count)

    def _report(self, report: LineReport, count: ImportCount) -> None:
        if report.outcome == "skipped":
            count.skipped += 1
        else:
            count.refused += 1
        self.tell(report)


def _read(number: int, line: bytes) -> Candidate:
    if len(line) > LONGEST_LINE:
        raise ValueError(f"longer than {LONGEST_LINE} bytes")
    shape = ImportLine.model_validate(parse_object(line))
    email = parse_email(shape.email)
    parse_name(shape.name)
    check_importable(shape.password_hash)
    return Candidate(number, shape.id or opaque.random_uuid(), shape.id is not None, email, shape)


def _reason(error: ValueError | Refusal) -> str:
    """Say what is wrong with a line without repeating what it holds."""
    if isinstance(error, ValidationError):
        problem = error.errors(include_input=False, include_context=False, include_url=False)[0]
        if problem["type"] == "extra_forbidden":
            return "an unknown member; known are " + ", ".join(ImportLine.model_fields)
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return error.detail if isinstance(error, Refusal) else str(error)


def _batches(candidates: Iterator[Candidate]) -> Iterator[Sequence[Candidate]]:
    batch: list[Candidate] = []
    for candidate in candidates:
        batch.append(candidate)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def bounded_lines(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the lines of an open file, each cut one byte beyond what is read: no line is huge."""
    while line := readline(LONGEST_LINE + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := readline(LONGEST_LINE + 1)):
            pass
        yield line
