"""`keyturn serve`: the server, on PostgreSQL and Redis somebody else runs."""

from dataclasses import replace

from keyturn.app import Serving, serve_forever
from keyturn.cli.context import ConfigOption, JsonOption, print_json, run
from keyturn.configuration import environment, load_settings
from keyturn.settings import Settings
from keyturn.telemetry.logs import stderr_writer
from keyturn.web import server


def serve(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Serve until SIGTERM or Ctrl-C; then drain, finish what is in flight, and exit 0.

    The log goes to stdout; with --json to stderr, and stdout has one line, once it is ready.
    """

    async def work() -> None:
        settings = load_settings(environment(), config)
        serving = Serving.by(settings.server)
        await (_serve_announced if json else serve_forever)(settings, serving)

    run(work(), server.run)


async def _serve_announced(settings: Settings, serving: Serving) -> None:
    sockets = {"port": serving.public[0], "managementPort": serving.management[0]}
    ports = {name: bound.getsockname()[1] for name, bound in sockets.items()}

    async def announce() -> None:
        print_json({"issuer": settings.issuer, **ports})

    await serve_forever(settings, replace(serving, writer=stderr_writer()), announce)
