"""How `keyturn clients` shows clients, secrets, differences and problems."""

from collections.abc import Sequence
from typing import Any

import typer

from keyturn.cli.context import print_json
from keyturn.clients.administration import Issued
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import Registration
from keyturn.clients.plan import ClientChange, FieldChange, Plan
from keyturn.errors import InvalidClientMetadata


def registrations(found: Sequence[Registration], *, json: bool) -> None:
    """Print a line for each client."""
    if json:
        print_json({"clients": [_describe(one) for one in found]})
        return
    for one in found:
        state = "active" if one.client.is_active else "disabled"
        print(f"{one.client.id}  {one.client.kind}  {state}  {one.client.name}")


def problems(refusal: InvalidClientMetadata, *, json: bool) -> None:
    """Print every reason a description was refused."""
    listed = [{"path": one.path, "problem": one.sentence} for one in refusal.problems]
    if json:
        print_json({"error": refusal.code, "problems": listed})
        return
    typer.echo(f"keyturn: {refusal.sentence} Nothing was written.", err=True)
    for problem in refusal.problems:
        typer.echo(f"  {problem}", err=True)


def _describe(registration: Registration) -> dict[str, Any]:
    """Return a client for programs; `definition` is what a clients file would say."""
    client = registration.client
    return {
        "clientId": client.id,
        "definition": ClientDefinition.of(client).model_dump(),
        "declared": registration.declared,
        "selfRegistered": client.self_registered,
        "secretSetAt": registration.secret_set_at,
        "secrets": [{"expiresAt": secret.expires_at} for secret in client.secrets],
        "disabledAt": client.disabled_at,
        "createdAt": registration.created_at,
        "updatedAt": registration.updated_at,
    }


def registration(found: Registration, *, json: bool) -> None:
    """Print one client; its secrets are only counted."""
    described = _describe(found)
    if json:
        print_json(described)
        return
    definition = described.pop("definition")
    described["secrets"] = len(described["secrets"])
    for field, value in {**definition, **described}.items():
        if value not in (None, ()):
            print(f"{field}: {_text(value)}")


def issued(new: Issued, *, json: bool) -> None:
    """Print a new secret, the only time it can be seen."""
    if json:
        secret = {} if new.secret is None else {"clientSecret": new.secret}
        print_json({**_describe(new.registration), **secret})
        return
    print(f"client_id: {new.registration.client.id}")
    if new.secret is not None:
        print(f"client_secret: {new.secret}")
        print("Keep the secret now: it is stored as a hash and cannot be shown again.")


def plan(wanted: Plan, *, dry_run: bool, json: bool) -> None:
    """Print what applying a file changes; secrets are named, never shown."""
    if json:
        changes = [_change(change) for change in wanted.changes if change.writes or change.note]
        print_json({"dryRun": dry_run, "changed": len(wanted.writes), "changes": changes})
        return
    for change in wanted.changes:
        if change.writes or change.note:
            print("\n".join(_lines(change)))
    done = "would change" if dry_run else "changed"
    print(f"{done} {len(wanted.writes)} of {len(wanted.changes)} clients")


def _change(change: ClientChange) -> dict[str, Any]:
    return {
        "clientId": change.client_id,
        "new": change.is_new,
        "fields": [
            {"name": one.name, "before": one.before, "after": one.after} for one in change.fields
        ],
        "secret": change.secret,
        "state": change.state,
        "adopted": change.adopted,
        "note": change.note,
    }


TOLD = {
    "set": "the file's becomes the current one",
    "ended": "none is accepted any more",
}


def _lines(change: ClientChange) -> list[str]:
    sign = "+" if change.is_new else "~" if change.writes else " "
    lines = [f"{sign} {change.client_id}{f'  ({change.note})' if change.note else ''}"]
    lines += [f"    {_field(one)}" for one in change.fields]
    told = TOLD.get(change.secret)
    if told is not None:
        lines.append(f"    secret: {told}")
    if change.state != "unchanged":
        lines.append(f"    {change.state}d")
    if change.adopted:
        lines.append("    is declared by a file from now on")
    return lines


def _field(change: FieldChange) -> str:
    after = _text(change.after)
    if change.before is None:
        return f"{change.name}: {after}"
    return f"{change.name}: {_text(change.before)} -> {after}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
