"""What applying a clients file would change: computed first, shown, then done as shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from keyturn.clients.clients_file import DeclaredClient
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import Registration
from keyturn.errors import InvalidClientMetadata, Problem

SecretStep = Literal["unchanged", "set", "remembered", "ended"]
StateStep = Literal["unchanged", "disable", "enable"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, before and after; for a new client, `before` is None."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ClientChange:
    """What happens to one client; secrets are named, never shown."""

    client_id: str
    is_new: bool
    fields: tuple[FieldChange, ...]
    secret: SecretStep
    """`set`: the file's becomes the current one. `remembered`: it is active already. `ended`: the
    client proves itself by a key from now on."""
    state: StateStep
    adopted: bool
    """The file takes charge of a client that commands made."""
    declared: DeclaredClient | None
    """None: the file no longer names it, and it is pruned."""
    note: str = ""

    @property
    def writes(self) -> bool:
        """Whether anything is written at all."""
        touched = self.is_new or self.fields or self.adopted
        return bool(touched) or self.secret != "unchanged" or self.state != "unchanged"  # noqa: S105 - a step


@dataclass(frozen=True, slots=True)
class Plan:
    """Every client of the file, and those pruned; in the order they are written."""

    changes: tuple[ClientChange, ...]

    @property
    def writes(self) -> tuple[ClientChange, ...]:
        """The changes that write something; none on a second run."""
        return tuple(change for change in self.changes if change.writes)


def plan(
    declared: Sequence[DeclaredClient], registered: Mapping[str, Registration], *, prune: bool
) -> Plan:
    """Compare a file with what is registered.

    Raises `InvalidClientMetadata` for a client whose kind would change: sessions and secrets of
    the one kind are not safe with the other.
    """
    problems = [
        Problem(f"{one.path}.kind", "a client keeps its kind; register another id")
        for one in declared
        if (known := registered.get(one.definition.id)) and known.client.kind != one.definition.kind
    ]
    if problems:
        raise InvalidClientMetadata(*problems)
    named = {one.definition.id for one in declared}
    changes = [_change(one, registered.get(one.definition.id)) for one in declared]
    if prune:
        changes += [
            _pruned(client_id)
            for client_id, known in sorted(registered.items())
            if known.declared and known.client.is_active and client_id not in named
        ]
    return Plan(tuple(changes))


def _change(declared: DeclaredClient, known: Registration | None) -> ClientChange:
    after = declared.definition.model_dump()
    if known is None:
        return ClientChange(
            client_id=declared.definition.id,
            is_new=True,
            fields=tuple(
                FieldChange(name, None, value)
                for name, value in after.items()
                if name != "id" and value not in (None, ())
            ),
            secret="unchanged" if declared.secret_hash is None else "set",
            state="disable" if declared.disabled else "unchanged",
            adopted=False,
            declared=declared,
        )
    before = ClientDefinition.of(known.client).model_dump()
    return ClientChange(
        client_id=declared.definition.id,
        is_new=False,
        fields=tuple(
            FieldChange(name, before[name], value)
            for name, value in after.items()
            if before[name] != value
        ),
        secret=_secret(declared, known),
        state=_state(declared, known),
        adopted=not known.declared,
        declared=declared,
        note=_note(declared, known),
    )


def _secret(declared: DeclaredClient, known: Registration) -> SecretStep:
    if not declared.definition.holds_secret:
        held = ClientDefinition.of(known.client).holds_secret
        return "ended" if held else "unchanged"
    # Only a secret that is new to the file counts. Otherwise the next start of a server would
    # bring back one that an operator has ended since, because it leaked.
    if declared.secret_hash == known.declared_secret_hash:
        return "unchanged"
    active = {secret.hash for secret in known.client.secrets}
    return "remembered" if declared.secret_hash in active else "set"


def _state(declared: DeclaredClient, known: Registration) -> StateStep:
    if declared.disabled is None or declared.disabled != known.client.is_active:
        return "unchanged"
    return "disable" if declared.disabled else "enable"


def _note(declared: DeclaredClient, known: Registration) -> str:
    if declared.disabled is None and not known.client.is_active:
        return "stays disabled; `disabled: false` or `keyturn clients enable` opens it"
    active = {secret.hash for secret in known.client.secrets}
    ended = declared.secret_hash is not None and declared.secret_hash not in active
    if ended and _secret(declared, known) == "unchanged":
        return "the file's secret was rotated away and is not accepted"
    return ""


def _pruned(client_id: str) -> ClientChange:
    return ClientChange(
        client_id=client_id,
        is_new=False,
        fields=(),
        secret="unchanged",  # noqa: S106 - a step
        state="disable",
        adopted=False,
        declared=None,
        note="no longer in the file",
    )
