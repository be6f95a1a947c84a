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
        int | None, typer.Option(min=1, max=65535, help="Management port (default: the setting).")
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Exit 0 when the server on this machine says yes, 1 when it says no, 3 without an answer."""
    number = port or _configured_port(config)
    status, body = _ask(number, _PATHS[question])
    if json:
        print_json({"ok": status == OK, "status": status, "answer": body})
    else:
        print(body)
    if status != OK:
        raise typer.Exit(REFUSED)


def _configured_port(config: ConfigOption) -> int:
    try:
        return load_settings(environment(), config).server.management_port
    except SettingsRefused as error:
        fail(str(error), WRONG)


def _ask(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        fail(f"no answer on 127.0.0.1:{port} ({type(error).__name__})", AWAY)
    finally:
        connection.close()
