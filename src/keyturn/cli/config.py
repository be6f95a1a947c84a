"""`keyturn config`: check, show and explain settings; make a master secret."""

from typing import Annotated, Any

import typer

from keyturn.cli.context import WRONG, ConfigOption, JsonOption, fail, print_json
from keyturn.clients import clients_file
from keyturn.configuration import describe, environment, load_settings
from keyturn.crypto.opaque import token_urlsafe
from keyturn.errors import SettingsRefused
from keyturn.settings import Settings
from keyturn.telemetry import trace_export

app = typer.Typer(help="Check, show and explain settings; make a master secret.")

SECRET_SIZE = 32


def _load(config: Any) -> Settings:
    try:
        return load_settings(environment(), config)
    except SettingsRefused as error:
        fail(str(error), WRONG)


@app.command()
def check(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Say whether the server would start with these settings (exit 0) or why not (exit 2)."""
    settings = _load(config)
    try:
        clients_file.configured(settings)
        trace_export.check(settings.tracing)
    except SettingsRefused as error:
        fail(str(error), WRONG)
    if json:
        print_json({"ok": True, "issuer": settings.issuer})
    else:
        print(f"settings are good; the issuer is {settings.issuer}")


@app.command()
def show(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Print every setting in force; secrets are never shown."""
    tree = _load(config).model_dump(mode="json")
    if json:
        print_json(tree)
        return
    for name, value in _flatten(tree):
        print(f"{name} = {value}")


@app.command()
def schema(json: JsonOption = False) -> None:
    """List every setting with its meaning, or print the JSON Schema of the file."""
    if json:
        print_json(Settings.model_json_schema())
        return
    for name, description in describe():
        print(f"{name}: {description}")


@app.command()
def secret(
    number: Annotated[int, typer.Option("--id", min=1, max=255, help="The secret's id.")] = 1,
    json: JsonOption = False,
) -> None:
    """Make a master secret of 256 bits, ready for KEYTURN_SECRETS."""
    value = token_urlsafe(SECRET_SIZE)
    if json:
        print_json({"id": number, "value": value})
    else:
        print(f"{number}: {value}")


def _flatten(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat
