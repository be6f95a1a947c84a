"""`keyturn health`: ask a running server on this machine, for container health checks."""

from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from typing import Annotated

import typer

from keyturn import paths
from keyturn.cli.context import AWAY, REFUSED, WRONG, ConfigOption, JsonOption, fail, print_json
from keyturn.configuration import environment, load_settings
from keyturn.errors import SettingsRefused

TIMEOUT = 2.0
"""Seconds to wait for the answer: less than an orchestrator waits for this command."""

OK = 200
LOOPBACK = "127.0.0.1"
EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - asked, not listened on
"""Where a server that listens on every address is asked."""


class Question(StrEnum):
    """What can be asked."""

    live = "live"
    started = "started"
    ready = "ready"


_PATHS = {
    Question.live: paths.LIVE,
    Question.started: paths.STARTED,
    Question.ready: paths.READY,
}


def health(
    question: Annotated[Question, typer.Argument(help="What to ask.")] = Question.live,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Ask this port of 127.0.0.1, whatever is set."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Exit 0 when the server on this machine says yes, 1 when it says no, 3 without an answer."""
    host, number = (LOOPBACK, port) if port else _configured(config)
    status, body = _ask(host, number, _PATHS[question])
    if json:
        print_json({"ok": status == OK, "status": status, "answer": body})
    else:
        print(body)
    if status != OK:
        raise typer.Exit(REFUSED)


def _configured(config: ConfigOption) -> tuple[str, int]:
    try:
        server = load_settings(environment(), config).server
    except SettingsRefused as error:
        fail(str(error), WRONG)
    return EVERYWHERE.get(server.management_host, server.management_host), server.management_port


def _ask(host: str, port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        fail(f"no answer on {host}:{port} ({type(error).__name__})", AWAY)
    finally:
        connection.close()
