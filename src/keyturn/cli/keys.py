"""`keyturn keys`: list the signing keys, and rotate them."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from keyturn.admin.messages import KeyAnswer, KeysAnswer, StepAnswer, StepsAnswer
from keyturn.cli.context import WRONG, JsonOption, fail, print_json, run
from keyturn.cli.reach import reach
from keyturn.cli.where import Where, reachable

app = typer.Typer(help="List the signing keys, and rotate them.", no_args_is_help=True)


@app.command(name="list")
@reachable
def list_(json: JsonOption = False, *, where: Where) -> None:
    """List every published key: its state, since when, and the secret it is sealed under."""

    async def work() -> None:
        async with reach(where) as admin:
            keys = list(map(_describe, (await admin.ask("listKeys", KeysAnswer)).items))
        if json:
            print_json({"keys": keys})
            return
        for key in keys:
            print("  ".join(f"{name}={value}" for name, value in key.items()))

    run(work())


@app.command()
@reachable
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
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Do what is due, as the server does by itself; or rotate ahead of time."""
    if now and compromised:
        fail("choose one of --now and --compromised", WRONG)

    async def work() -> None:
        how = {"compromised": compromised, "only_due": not (now or compromised)}
        async with reach(where) as admin:
            done = await admin.ask("rotateKeys", StepsAnswer, how)
        _print_steps(done.steps, json=json)

    run(work())


def _describe(key: KeyAnswer) -> dict[str, Any]:
    described: dict[str, Any] = {
        "kid": key.kid,
        "state": key.state,
        "since": key.since.isoformat(),
        "createdAt": key.created_at.isoformat(),
    }
    if key.removed_after is not None:
        return described | {"removedAfter": key.removed_after.isoformat()}
    if key.may_sign_from is not None:
        described["maySignFrom"] = key.may_sign_from.isoformat()
    return described | {"secretId": key.secret_id, "usable": key.usable}


def _print_steps(steps: Iterable[StepAnswer], *, json: bool) -> None:
    done = [step.model_dump(exclude_none=True) for step in steps]
    if json:
        print_json({"steps": done})
        return
    for step in done:
        print("  ".join(f"{name}={value}" for name, value in step.items()))
    if not done:
        print("nothing is due")
