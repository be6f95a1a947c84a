"""The page of commands and the commands themselves say the same: names, arguments, options."""

from typing import Annotated

import pytest
import typer
import typer.main

from keyturn.cli.main import app
from support.tree import differences, spans, table, text

EVERYWHERE = {"--json", "--config"}
NO_SETTINGS = {"keyturn config schema", "keyturn config secret"}
"""What neither reads settings nor needs them."""


def real(group):
    """Return every command, and `command word` for each of its arguments and options."""
    return {
        f"{command} {word}".strip()
        for command, one in _walk(group, "keyturn")
        for parameter in one.params
        for word in ["", *_words(parameter)]
    }


def _walk(group, name):
    for sub, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from _walk(one, f"{name} {sub}")
        else:
            yield f"{name} {sub}", one


def _words(parameter):
    if parameter.param_type_name == "argument":
        word = parameter.metavar or parameter.name.upper()
        return [word if parameter.required else f"[{word}]"]
    # The other half of a switch says something new only where the switch is on by default.
    other = parameter.secondary_opts if parameter.default is True else []
    return [one for one in [*parameter.opts, *other] if one.startswith("--")]


def documented(page):
    """Return the same of the page; its rows of "every command" hold for all but those they name."""
    told, everywhere = {}, []
    for names, options, *_ in table(page, "# Commands"):
        words = {one.split()[0] for one in spans(options)}
        if names.startswith("every command"):
            everywhere.append((words, set(spans(names))))
            continue
        for name in spans(names):
            command = " ".join(one for one in name.split() if one.strip("[]").islower())
            told[command] = words | set(name.split()) - set(command.split())
    for words, exempt in everywhere:
        for command in told.keys() - exempt:
            told[command] |= words
    return {f"{one} {word}".strip() for one, words in told.items() for word in ["", *words]}


def mute(group):
    """Return what every command should take and some do not."""
    commands = [name for name, _ in _walk(group, "keyturn")]
    return {f"{name} {one}" for name in commands for one in EVERYWHERE} - real(group)


def test_every_command_is_documented_with_its_words_and_every_documented_word_exists():
    told = documented(text("docs/commands.md"))
    assert differences(told, real(typer.main.get_command(app))) == []


def test_every_command_answers_programs_and_takes_settings():
    assert mute(typer.main.get_command(app)) == {f"{name} --config" for name in NO_SETTINGS}


# -- what the guards find when it is planted ------------------------------------------------------

PAGE = """# Commands

| command | options | what it does |
| --- | --- | --- |
| every command | `--json` | |
| every command but `keyturn purge` | `--config FILE` | |
| `keyturn purge` | | |
| `keyturn users add EMAIL [NAME]` | `--quota`, `--mail` or `--no-mail` | |
"""


@pytest.fixture
def program():
    """A program that the page describes."""
    app, users = typer.Typer(), typer.Typer()

    @app.command()
    def purge(*, json: Annotated[bool, typer.Option("--json")]):
        pass

    @users.command()
    def add(
        email: str,
        name: Annotated[str, typer.Argument()] = "",
        *,
        quota: int = 0,
        mail: bool = True,
        config: str = "",
        json: Annotated[bool, typer.Option("--json")] = False,
    ):
        pass

    users.callback()(lambda: None)  # else a group of one command would be that command
    app.add_typer(users, name="users")
    return typer.main.get_command(app)


@pytest.mark.parametrize(
    ("good", "bad", "complaints"),
    [
        ("", "", []),
        ("| `keyturn purge` | | |\n", "", ["purge: told nowhere", "purge --json: told nowhere"]),
        ("EMAIL", "", ["users add EMAIL: told nowhere"]),
        (
            "[NAME]",
            "NAME",
            ["users add [NAME]: told nowhere", "users add NAME: there is no such thing"],
        ),
        ("`--quota`, ", "", ["users add --quota: told nowhere"]),
        (" or `--no-mail`", "", ["users add --no-mail: told nowhere"]),
        ("`--json`", "", ["purge --json: told nowhere", "users add --json: told nowhere"]),
        (" but `keyturn purge`", "", ["purge --config: there is no such thing"]),
        ("`--quota`", "`--quota`, `--size`", ["users add --size: there is no such thing"]),
        (
            "`keyturn purge` | |",
            "`keyturn clean` | |",
            [f"purge{one}: told nowhere" for one in ("", " --json")]
            + [f"clean{one}: there is no such thing" for one in ("", " --json", " --config")],
        ),
    ],
)
def test_a_page_that_leaves_out_or_invents_a_word_is_found(good, bad, complaints, program):
    found = differences(documented(PAGE.replace(good, bad)), real(program))
    assert set(found) == {f"keyturn {one}" for one in complaints}


def test_a_command_that_is_mute_is_found(program):
    assert mute(program) == {"keyturn purge --config"}
