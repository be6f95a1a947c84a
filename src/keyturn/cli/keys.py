"""`keyturn keys`: list the signing keys, and rotate them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from keyturn.cli.context import (
    WRONG,
    ConfigOption,
    JsonOption,
    Opened,
    fail,
    open_database,
    print_json,
    run,
)
from keyturn.keys.decision import Policy, Situation, Step
from keyturn.keys.model import State, StoredKey
from keyturn.keys.rotation import KeyRotation

app = typer.Typer(help="List the signing keys, and rotate them.", no_args_is_help=True)


@app.command(name="list")
def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List every published key: its state, since when, and the secret it is sealed under."""

    async def work() -> None:
        async with open_database(config) as opened:
            rotation = _rotation(opened)
            situation = await rotation.look()
        keys = [_describe(key, situation, rotation.policy) for key in situation.keys]
        if json:
            print_json({"keys": keys})
            return
        for key in keys:
            print("  ".join(f"{name}={value}" for name, value in key.items()))

    run(work())


@app.command()
def rotate(
    now: Annotated[
        bool, typer.Option("--now", help="Promote the next key, once it has had its lead.")
    ] = False,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised",
            help="Stop publishing the signing key at once and sign with another. Its tokens are "
            "refused; verifiers may fail for up to the JWKS max-age. Run it twice when the "
            "master secret has leaked, too: the next key was sealed under it.",
        ),
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Do what is due, as the server does by itself; or rotate ahead of time."""
    if now and compromised:
        fail("choose one of --now and --compromised", WRONG)

    async def work() -> None:
        async with open_database(config) as opened:
            rotation = _rotation(opened)
            if compromised:
                steps = await rotation.replace_compromised()
            elif now:
                steps = await rotation.promote_now()
            else:
                steps = await rotation.run_due()
        _print_steps(steps, json=json)

    run(work())


def _rotation(opened: Opened) -> KeyRotation:
    policy = Policy.of(opened.settings)
    return KeyRotation(opened.database, opened.secrets, policy, opened.audit)


def _describe(key: StoredKey, situation: Situation, policy: Policy) -> dict[str, Any]:
    described: dict[str, Any] = {
        "kid": key.kid,
        "state": key.state,
        "since": key.since.isoformat(),
        "createdAt": key.created_at.isoformat(),
    }
    if key.state is State.RETIRED:
        return described | {"removedAfter": (key.since + policy.retirement).isoformat()}
    if key.state is State.NEXT:
        described["maySignFrom"] = (key.since + policy.lead).isoformat()
    return described | {"secretId": key.secret_id, "usable": situation.opens(key)}


def _print_steps(steps: Iterable[Step], *, json: bool) -> None:
    done = [{"step": type(step).__name__.lower()} | asdict(step) for step in steps]
    if json:
        print_json({"steps": done})
        return
    for step in done:
        print("  ".join(f"{name}={value}" for name, value in step.items()))
    if not done:
        print("nothing is due")
