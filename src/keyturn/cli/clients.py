"""`keyturn clients`: register applications, close them, rotate their secrets, apply a file."""

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from keyturn.cli import clients_printing as printing
from keyturn.cli.context import (
    REFUSED,
    WRONG,
    ConfigOption,
    JsonOption,
    fail,
    open_database,
    run,
)
from keyturn.clients import clients_file, declarative
from keyturn.clients.administration import Administration
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.rules import Limits
from keyturn.errors import InvalidClientMetadata

app = typer.Typer(help="Registered applications.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(help="The client's id.")]
Name = Annotated[str | None, typer.Option(help="Shown to people; default: the id.")]
Kind = Annotated[
    Literal["public", "confidential"] | None,
    typer.Option(help="Default: public with --session-api, else confidential."),
]
Method = Annotated[
    Literal["client_secret_basic", "client_secret_post"] | None,
    typer.Option(help="How a confidential client sends its secret; default: basic."),
]
Grants = Annotated[list[str] | None, typer.Option(help="A grant type it may use; repeatable.")]
Scopes = Annotated[list[str] | None, typer.Option(help="A scope it may have; repeatable.")]
Audiences = Annotated[
    list[str] | None, typer.Option(help="An API; repeatable, the first is the default.")
]
SessionApi = Annotated[bool, typer.Option("--session-api", help="May use the session API.")]
Origins = Annotated[list[str] | None, typer.Option(help="A web origin; repeatable.")]
Claims = Annotated[
    list[str] | None, typer.Option(help="email, email_verified or name, for access tokens.")
]
IdTokenClaims = Annotated[
    list[str] | None, typer.Option(help="email, email_verified or name, for ID tokens.")
]
Introspects = Annotated[list[str] | None, typer.Option(help="An API it introspects for.")]
Grace = Annotated[int | None, typer.Option(help="Seconds, 0 to 60.")]
Rotation = Annotated[bool, typer.Option(help="Rotate its refresh tokens.")]
RedirectUris = Annotated[
    list[str] | None, typer.Option(help="Where a code may be sent; repeatable, exact.")
]
PostLogoutUris = Annotated[
    list[str] | None, typer.Option(help="Where a browser may go after logout; repeatable, exact.")
]
RequirePkce = Annotated[bool, typer.Option(help="Demand PKCE; off for confidential clients only.")]
SkipConsent = Annotated[bool, typer.Option("--skip-consent", help="First party: ask nobody.")]
ResponseModes = Annotated[
    list[str] | None, typer.Option(help="query or form_post; repeatable; default: both.")
]
LogoutUri = Annotated[str | None, typer.Option(help="Where it hears of ended sessions; https.")]
Seconds = Annotated[int | None, typer.Option(help="Seconds.")]
Others = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=YAML", help="Any other field of a clients file."),
]


@app.command()
def add(
    client_id: IdArgument,
    *,
    name: Name = None,
    kind: Kind = None,
    auth_method: Method = None,
    grant: Grants = None,
    scope: Scopes = None,
    audience: Audiences = None,
    session_api: SessionApi = False,
    origin: Origins = None,
    claim: Claims = None,
    id_token_claim: IdTokenClaims = None,
    introspects: Introspects = None,
    grace: Grace = None,
    rotation: Rotation = True,
    access_token_lifetime: Seconds = None,
    idle_lifetime: Seconds = None,
    absolute_lifetime: Seconds = None,
    redirect_uri: RedirectUris = None,
    post_logout_redirect_uri: PostLogoutUris = None,
    require_pkce: RequirePkce = True,
    skip_consent: SkipConsent = False,
    response_mode: ResponseModes = None,
    backchannel_logout_uri: LogoutUri = None,
    others: Others = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Register a client; the secret of a confidential one is shown once, here."""
    described = {
        "id": client_id,
        "kind": kind or ("public" if session_api else "confidential"),
        **_given(session_api=session_api, rotation=rotation),
        **_given(require_pkce=require_pkce, skip_consent=skip_consent),
        **_given(name=name, auth_method=auth_method, grace=grace, idle_lifetime=idle_lifetime),
        **_given(access_token_lifetime=access_token_lifetime, absolute_lifetime=absolute_lifetime),
        **_given(grant_types=grant, scopes=scope, audiences=audience, origins=origin),
        **_given(claims=claim, id_token_claims=id_token_claim, introspects=introspects),
        **_given(redirect_uris=redirect_uri, response_modes=response_mode),
        **_given(post_logout_redirect_uris=post_logout_redirect_uri),
        **_given(backchannel_logout_uri=backchannel_logout_uri),
        **_others(others or ()),
    }

    async def work() -> None:
        async with _administration(config) as administration:
            printing.issued(await administration.add(ClientDefinition.parse(described)), json=json)

    _run(work(), json=json)


@app.command(name="list")
def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List every client by id, disabled ones too."""

    async def work() -> None:
        async with _administration(config) as administration:
            found = await administration.list()
            printing.registrations(found, json=json)

    _run(work(), json=json)


@app.command()
def show(client_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show one client; its secrets are only counted."""

    async def work() -> None:
        async with _administration(config) as administration:
            found = await administration.show(client_id)
            printing.registration(found, json=json)

    _run(work(), json=json)


@app.command()
def disable(client_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Close a client everywhere; it is not deleted, and its id stays taken."""

    async def work() -> None:
        async with _administration(config) as administration:
            found = await administration.disable(client_id)
            printing.registration(found, json=json)

    _run(work(), json=json)


@app.command()
def enable(client_id: IdArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Open a disabled client again."""

    async def work() -> None:
        async with _administration(config) as administration:
            found = await administration.enable(client_id)
            printing.registration(found, json=json)

    _run(work(), json=json)


@app.command()
def rotate_secret(
    client_id: IdArgument,
    old_expires_in: Annotated[
        int | None, typer.Option(min=1, max=31_536_000, help="Seconds the old secret stays good.")
    ] = None,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="End the old one at once.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a new secret, shown once, here; the old one stays good until it is dropped."""
    if drop_old and old_expires_in is not None:
        fail("--drop-old and --old-expires-in exclude each other", WRONG)
    seconds = 0 if drop_old else old_expires_in
    previous_for = None if seconds is None else timedelta(seconds=seconds)

    async def work() -> None:
        async with _administration(config) as administration:
            issued = await administration.rotate_secret(client_id, previous_for)
            printing.issued(issued, json=json)

    _run(work(), json=json)


@app.command()
def drop_old_secret(
    client_id: IdArgument, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """End the secret before the current one, once nobody uses it any more."""

    async def work() -> None:
        async with _administration(config) as administration:
            found = await administration.drop_previous_secret(client_id)
            printing.registration(found, json=json)

    _run(work(), json=json)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="A clients file (config/clients.yaml).")],
    prune: Annotated[
        bool, typer.Option("--prune", help="Disable clients the file no longer names.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make the registered clients what a file says, and show the difference."""

    async def work() -> None:
        async with _administration(config) as administration:
            declared = clients_file.read(file, administration.limits)
            plan = await declarative.apply(
                administration.database,
                declared,
                administration.audit,
                prune=prune,
                dry_run=dry_run,
            )
            printing.plan(plan, dry_run=dry_run, json=json)

    _run(work(), json=json)


def _others(assignments: Sequence[str]) -> dict[str, Any]:
    """Read `field=value` pairs; a value is YAML, as it would stand in a clients file."""
    fields: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            fail(f"--set {name}: takes FIELD=YAML, such as require_par=true", WRONG)
        try:
            fields[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            fail(f"--set {name}: the value is not YAML", WRONG)
    return fields


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that were given: one left out is None, a repeatable one an empty list."""
    return {name: value for name, value in options.items() if value not in (None, [])}


@asynccontextmanager
async def _administration(config: Path | None) -> AsyncIterator[Administration]:
    async with open_database(config) as opened:
        yield Administration(opened.database, Limits.of(opened.settings), opened.audit)


def _run(work: Coroutine[Any, Any, None], *, json: bool) -> None:
    async def listing_problems() -> None:
        try:
            await work
        except InvalidClientMetadata as refusal:
            printing.problems(refusal, json=json)
            raise typer.Exit(REFUSED) from None

    run(listing_problems())
