"""Where a command works: straight on the database of its settings, or by the API of a server."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.cli.context import ConfigOption
from keyturn.configuration import CLIENT_ID, SERVER

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar=SERVER,
        metavar="URL",
        help="Ask the server with this management URL, instead of working on the database.",
    ),
]
IssuerOption = Annotated[
    str | None,
    typer.Option(
        "--issuer",
        envvar="KEYTURN_ISSUER",
        metavar="URL",
        help="With --server: whose token endpoint gets the secret; default: the server says.",
    ),
]
ClientIdOption = Annotated[
    str | None,
    typer.Option(
        "--client-id",
        envvar=CLIENT_ID,
        metavar="ID",
        help="With --server: an administrative client. Its secret is read from "
        "KEYTURN_CLIENT_SECRET, the file that KEYTURN_CLIENT_SECRET_FILE names, or a prompt.",
    ),
]


@dataclass(frozen=True, slots=True)
class Where:
    """As it was typed, or stands in the environment; `server` decides."""

    config: Path | None = None
    server: str | None = None
    issuer: str | None = None
    client_id: str | None = None


# A command may have an argument of its own that is called `client_id`.
_OPTIONS = {
    "config": ("config", ConfigOption),
    "server": ("server", ServerOption),
    "issuer": ("issuer", IssuerOption),
    "client_id": ("as_client", ClientIdOption),
}


def reachable(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `where` the options that say it, written once for all of them."""
    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.name != "where"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in _OPTIONS.values()
    ]
    parameters = [
        *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
        *added,
    ]

    @wraps(command)
    def called(**given: Any) -> None:
        where = {field: given.pop(name) for field, (name, _) in _OPTIONS.items()}
        command(where=Where(**where), **given)

    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called
