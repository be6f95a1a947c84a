"""What a command shows a server to be let in: an administrative client and its secret."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import typer

from keyturn.cli.context import WRONG, fail
from keyturn.configuration import CLIENT_SECRET, CLIENT_SECRET_FILE, environment, read_secret_file


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client that may administer."""

    client_id: str
    secret: str = field(repr=False)


def credentials(client_id: str | None) -> Credentials:
    """Return them; the secret is never a word of the command, which others on a machine can see.

    Leaves when there are none. Raises `SettingsRefused` for a file that cannot be used.
    """
    if not client_id:
        fail("--server needs an administrative client: --client-id, or KEYTURN_CLIENT_ID", WRONG)
    return Credentials(client_id, _secret(environment(), client_id))


def _secret(environ: Mapping[str, str], client_id: str) -> str:
    given, file = environ.get(CLIENT_SECRET), environ.get(CLIENT_SECRET_FILE)
    if given and file:
        fail(f"set one of {CLIENT_SECRET} and {CLIENT_SECRET_FILE}", WRONG)
    if file:
        return read_secret_file(Path(file))
    if given:
        return given
    if not sys.stdin.isatty():
        fail(f"no secret for {client_id}: set {CLIENT_SECRET} or {CLIENT_SECRET_FILE}", WRONG)
    return str(typer.prompt(f"Secret of {client_id}", hide_input=True, err=True))
