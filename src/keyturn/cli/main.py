"""The command line, composed: one command (or noun) a file."""

import typer

from keyturn.cli import audit, clients, config, keys, registration_tokens, sessions, users
from keyturn.cli.dev import dev
from keyturn.cli.doctor import doctor
from keyturn.cli.health import health
from keyturn.cli.migrate import migrate
from keyturn.cli.purge import purge
from keyturn.cli.serve import serve
from keyturn.telemetry.logs import say_on_stderr

app = typer.Typer(
    name="keyturn",
    help="OAuth 2.1 and OpenID Connect authorization server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(dev)
app.command()(serve)
app.command()(migrate)
app.command()(purge)
app.command()(health)
app.command()(doctor)
app.add_typer(users.app, name="users")
app.add_typer(clients.app, name="clients")
app.add_typer(registration_tokens.app, name="registration-tokens")
app.add_typer(sessions.app, name="sessions")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(config.app, name="config")


def run() -> None:
    """Start here: `keyturn` and `python -m keyturn`."""
    say_on_stderr()
    app()
