"""How `keyturn clients` shows clients, secrets, differences and problems."""

from collections.abc import Sequence
from typing import Any

import typer

from keyturn.admin.declared_clients import ChangeAnswer, FieldAnswer, PlanAnswer
from keyturn.admin.messages import ClientAnswer, IssuedClientAnswer
from keyturn.cli.context import print_json
from keyturn.errors import InvalidClientMetadata


def clients(found: Sequence[ClientAnswer], *, json: bool) -> None:
    """Print a line for each client."""
    if json:
        print_json({"clients": [_describe(one) for one in found]})
        return
    for one in found:
        state = "active" if one.disabled_at is None else "disabled"
        print(f"{one.id}  {one.definition.kind}  {state}  {one.definition.name}")


def problems(refusal: InvalidClientMetadata, *, json: bool) -> None:
    """Print every reason a description was refused."""
    listed = [{"path": one.path, "problem": one.sentence} for one in refusal.problems]
    if json:
        print_json({"error": refusal.code, "problems": listed})
        return
    typer.echo(f"keyturn: {refusal.sentence} Nothing was written.", err=True)
    for problem in refusal.problems:
        typer.echo(f"  {problem}", err=True)


def _describe(client: ClientAnswer) -> dict[str, Any]:
    """Return a client for programs; `definition` is what a clients file would say."""
    return {
        "clientId": client.id,
        "definition": client.definition.model_dump(),
        "declared": client.declared,
        "selfRegistered": client.self_registered,
        "secretSetAt": client.secret_set_at,
        "secrets": [{"expiresAt": secret.expires_at} for secret in client.secrets],
        "disabledAt": client.disabled_at,
        "createdAt": client.created_at,
        "updatedAt": client.updated_at,
    }


def client(found: ClientAnswer, *, json: bool) -> None:
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


def issued(new: IssuedClientAnswer, *, json: bool) -> None:
    """Print a new secret, the only time it can be seen."""
    if json:
        secret = {} if new.client_secret is None else {"clientSecret": new.client_secret}
        print_json({**_describe(new), **secret})
        return
    print(f"client_id: {new.id}")
    if new.client_secret is not None:
        print(f"client_secret: {new.client_secret}")
        print("Keep the secret now: it is stored as a hash and cannot be shown again.")


def plan(wanted: PlanAnswer, *, dry_run: bool, json: bool) -> None:
    """Print what applying a file changes; secrets are named, never shown."""
    written = sum(change.writes for change in wanted.changes)
    if json:
        changes = [_change(change) for change in wanted.changes if change.writes or change.note]
        print_json({"dryRun": dry_run, "changed": written, "changes": changes})
        return
    for change in wanted.changes:
        if change.writes or change.note:
            print("\n".join(_lines(change)))
    done = "would change" if dry_run else "changed"
    print(f"{done} {written} of {len(wanted.changes)} clients")


def _change(change: ChangeAnswer) -> dict[str, Any]:
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


def _lines(change: ChangeAnswer) -> list[str]:
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


def _field(change: FieldAnswer) -> str:
    after = _text(change.after)
    if change.before is None:
        return f"{change.name}: {after}"
    return f"{change.name}: {_text(change.before)} -> {after}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
