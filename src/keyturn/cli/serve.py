"""`keyturn serve`: the server, on PostgreSQL and Redis somebody else runs."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from keyturn.app import Serving, serve_forever
from keyturn.cli.context import ConfigOption, JsonOption, print_json, run
from keyturn.configuration import environment, load_settings
from keyturn.settings import Settings
from keyturn.telemetry.logs import stderr_writer
from keyturn.web import server
from keyturn.workers.parent import serve_by_workers


def serve(
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that answer the public port (server.workers)."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; then drain, finish what is in flight, and exit 0.

    The log goes to stdout; with --json to stderr, and stdout has one line, once it is ready.
    """

    async def work() -> None:
        overrides = {"server": {"workers": workers}} if workers else None
        settings = load_settings(environment(), config, overrides)
        serving = Serving.by(settings.server)
        how: Callable[..., Awaitable[None]] = serve_forever
        if settings.server.workers > 1:
            how = partial(serve_by_workers, config=config)
        if json:
            await _serve_announced(settings, serving, how)
        else:
            await how(settings, serving)

    run(work(), server.run)


async def _serve_announced(
    settings: Settings, serving: Serving, how: Callable[..., Awaitable[None]]
) -> None:
    sockets = {"port": serving.public[0], "managementPort": serving.management[0]}
    ports = {name: bound.getsockname()[1] for name, bound in sockets.items()}

    async def announce() -> None:
        print_json({"issuer": settings.issuer, **ports})

    quiet = replace(serving, writer=stderr_writer(), output=sys.stderr.fileno())
    await how(settings, quiet, announce)
