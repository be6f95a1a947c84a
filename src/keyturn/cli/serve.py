"""`keyturn serve`: the server, on PostgreSQL and Redis somebody else runs."""

from keyturn.app import serve_forever
from keyturn.cli.context import ConfigOption, run
from keyturn.configuration import environment, load_settings
from keyturn.web import server


def serve(config: ConfigOption = None) -> None:
    """Serve until SIGTERM or Ctrl-C; then drain, finish what is in flight, and exit 0."""

    async def work() -> None:
        await serve_forever(load_settings(environment(), config))

    run(work(), server.run)
