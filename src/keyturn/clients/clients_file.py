"""clients.yaml, read: every problem is listed with its place, and no secret is ever repeated.

    clients:
      - id: billing
        kind: confidential
        ...                       the fields of `definition.ClientDefinition`
        secret_file: billing.key  or `secret`, or `secret_hash` (SHA-256 in hexadecimal)
        disabled: true            or false

An entry without `disabled` leaves the client's state as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, SecretStr

from keyturn.clients import rules, secrets
from keyturn.clients.definition import ClientDefinition, Flag
from keyturn.configuration import read_secret_file
from keyturn.errors import InvalidClientMetadata, Problem, SettingsRefused
from keyturn.settings import Settings

LARGEST_FILE = 8 * 1024 * 1024
SECRETLESS = "a public client holds none, nor does one with private_key_jwt"


class Entry(ClientDefinition):
    """A client as a file declares it; of its secret, the hash."""

    secret_hash: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$")] | None = None
    """SHA-256, in hexadecimal."""
    disabled: Flag | None = None
    """Absent: whether it is disabled stays as it is."""


_OF_ENTRY = frozenset(Entry.model_fields)


class _Written(Entry):
    secret: SecretStr | None = None
    secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class DeclaredClient:
    """One client of the file: complete, checked, its secret already hashed."""

    path: str
    definition: ClientDefinition
    secret_hash: bytes | None = field(repr=False)
    disabled: bool | None


def configured(settings: Settings) -> tuple[DeclaredClient, ...]:
    """Read the file of the setting `clients_file`; without one there are no such clients.

    Raises `SettingsRefused` with a line for each problem: a server without the clients it was
    given would refuse everybody.
    """
    if settings.clients_file is None:
        return ()
    try:
        return read(settings.clients_file, rules.Limits.of(settings))
    except InvalidClientMetadata as refusal:
        lines = (f"clients_file: {problem}" for problem in refusal.problems)
        raise SettingsRefused("\n".join(lines)) from None


def read(file: Path, limits: rules.Limits) -> tuple[DeclaredClient, ...]:
    """Read a clients file; `secret_file` is looked for beside it.

    Raises `InvalidClientMetadata` with every problem.
    """
    return parse(_document(file), limits, file.parent)


def parse(document: Any, limits: rules.Limits, folder: Path) -> tuple[DeclaredClient, ...]:
    """Read the content of a clients file. Raises `InvalidClientMetadata` with every problem."""
    return _completed(*_entries(document, folder), limits)


def entries(file: Path) -> tuple[Entry, ...]:
    """Read a clients file as far as that can be done without a server's settings.

    Raises `InvalidClientMetadata` with every problem.
    """
    found, problems = _entries(_document(file), file.parent)
    if problems:
        raise InvalidClientMetadata(*problems)
    return tuple(found.values())


def declared(listed: Sequence[Entry], limits: rules.Limits) -> tuple[DeclaredClient, ...]:
    """Complete what a file declares. Raises `InvalidClientMetadata` with every problem."""
    return _completed({f"clients[{n}]": one for n, one in enumerate(listed)}, [], limits)


def _document(file: Path) -> Any:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise InvalidClientMetadata(Problem(str(file), "is larger than 8 MiB"))
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        sentence = f"cannot be read: {error.strerror}"
        raise InvalidClientMetadata(Problem(str(file), sentence)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidClientMetadata(Problem(str(file), _trouble(error))) from None


def _entries(document: Any, folder: Path) -> tuple[dict[str, Entry], list[Problem]]:
    listed = document.get("clients") if isinstance(document, dict) else None
    if not isinstance(listed, list) or set(document) != {"clients"}:
        raise InvalidClientMetadata(Problem("clients", "a list named so is all the file holds"))
    found: dict[str, Entry] = {}
    problems: list[Problem] = []
    for number, raw in enumerate(listed):
        path, secret_hash = f"clients[{number}]", None
        try:
            written = _Written.parse(raw, path)
        except InvalidClientMetadata as refusal:
            problems += refusal.problems
            continue
        try:
            secret_hash = _secret_hash(written, folder)
        except ValueError as error:
            problems.append(Problem(f"{path}.secret", str(error)))
        said = {name: getattr(written, name) for name in written.model_fields_set & _OF_ENTRY}
        found[path] = Entry.model_construct(**said | {"secret_hash": secret_hash})
    return found, problems


def _completed(
    found: Mapping[str, Entry], problems: list[Problem], limits: rules.Limits
) -> tuple[DeclaredClient, ...]:
    told = {one.path for one in problems}
    complete: list[DeclaredClient] = []
    for path, entry in found.items():
        needed, given = entry.holds_secret, entry.secret_hash is not None
        if needed is not given and f"{path}.secret" not in told:
            problems.append(Problem(f"{path}.secret_hash", "is needed" if needed else SECRETLESS))
        try:
            definition = rules.complete(_bare(entry), limits, path)
        except InvalidClientMetadata as refusal:
            problems += refusal.problems
            continue
        digest = bytes.fromhex(entry.secret_hash or "") or None
        complete.append(DeclaredClient(path, definition, digest, entry.disabled))
    problems += _repeated(complete)
    if problems:
        raise InvalidClientMetadata(*problems)
    return tuple(complete)


def _bare(entry: Entry) -> ClientDefinition:
    own = {"secret_hash", "disabled"}
    return ClientDefinition.model_construct(
        **{name: getattr(entry, name) for name in _OF_ENTRY - own}
    )


def _secret_hash(entry: _Written, folder: Path) -> str | None:
    given = [one for one in (entry.secret, entry.secret_hash, entry.secret_file) if one is not None]
    if not entry.holds_secret:
        if given:
            raise ValueError(SECRETLESS)
        return None
    if len(given) != 1:
        raise ValueError("give exactly one of secret, secret_hash and secret_file")
    if entry.secret_hash is not None:
        return entry.secret_hash
    if entry.secret is not None:
        return _hashed(entry.secret.get_secret_value())
    try:
        return _hashed(read_secret_file(folder / str(entry.secret_file)))
    except SettingsRefused as refusal:
        raise ValueError(str(refusal)) from None


def _hashed(secret: str) -> str:
    return secrets.digest(secrets.check_given(secret)).hex()


def _repeated(declared: Sequence[DeclaredClient]) -> list[Problem]:
    first: dict[str, str] = {}
    problems = []
    for one in declared:
        earlier = first.setdefault(one.definition.id, one.path)
        if earlier != one.path:
            problems.append(Problem(f"{one.path}.id", f"is that of {earlier}"))
    return problems


class _StrictLoader(yaml.SafeLoader):
    """YAML without repeated keys: of two `kind` lines, silently the last one would count."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the parent's
        seen: list[Any] = []
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem_mark=key.start_mark)
            seen.append(key.value)
        return super().construct_mapping(node, deep)


def _trouble(error: Exception) -> str:
    """Say where, never what: the line may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"cannot be read as YAML{where}"
