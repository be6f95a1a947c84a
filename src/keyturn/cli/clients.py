"""`keyturn clients`: register applications, close them, rotate their secrets, apply a file."""

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from keyturn.admin.declared_clients import PlanAnswer
from keyturn.admin.messages import ClientAnswer, IssuedClientAnswer
from keyturn.cli import clients_printing as printing
from keyturn.cli.context import REFUSED, WRONG, JsonOption, fail, run
from keyturn.cli.reach import every, reach
from keyturn.cli.where import Where, reachable
from keyturn.clients import clients_file
from keyturn.clients.definition import ClientDefinition
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
@reachable
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
    json: JsonOption = False,
    where: Where,
) -> None:
    """Register a client; the secret of a confidential one is shown once, here."""
    described = {
        "id": client_id,
        "kind": kind or ("public" if session_api else "confidential"),
        **_given(session_api=session_api, rotation=rotation, skip_consent=skip_consent),
        **_given(name=name, auth_method=auth_method, grace=grace, idle_lifetime=idle_lifetime),
        **_given(access_token_lifetime=access_token_lifetime, absolute_lifetime=absolute_lifetime),
        **_given(grant_types=grant, scopes=scope, audiences=audience, origins=origin),
        **_given(claims=claim, id_token_claims=id_token_claim, introspects=introspects),
        **_given(redirect_uris=redirect_uri, response_modes=response_mode),
        **_given(post_logout_redirect_uris=post_logout_redirect_uri, require_pkce=require_pkce),
        **_given(backchannel_logout_uri=backchannel_logout_uri),
        **_others(others or ()),
    }

    async def work() -> None:
        new = ClientDefinition.parse(described).model_dump(mode="json", exclude_unset=True)
        async with reach(where) as admin:
            printing.issued(await admin.ask("createClient", IssuedClientAnswer, new), json=json)

    _run(work(), json=json)


@app.command(name="list")
@reachable
def list_(json: JsonOption = False, *, where: Where) -> None:
    """List every client by id, disabled ones too."""

    async def work() -> None:
        async with reach(where) as admin:
            printing.clients(await every(admin, "listClients", ClientAnswer), json=json)

    _run(work(), json=json)


@app.command()
@reachable
def show(client_id: IdArgument, json: JsonOption = False, *, where: Where) -> None:
    """Show one client; its secrets are only counted."""
    _ask_and_show("getClient", client_id, where, json=json)


@app.command()
@reachable
def disable(client_id: IdArgument, json: JsonOption = False, *, where: Where) -> None:
    """Close a client everywhere; it is not deleted, and its id stays taken."""
    _ask_and_show("disableClient", client_id, where, json=json)


@app.command()
@reachable
def enable(client_id: IdArgument, json: JsonOption = False, *, where: Where) -> None:
    """Open a disabled client again."""
    _ask_and_show("enableClient", client_id, where, json=json)


@app.command()
@reachable
def rotate_secret(
    client_id: IdArgument,
    old_expires_in: Annotated[
        int | None, typer.Option(min=1, max=31_536_000, help="Seconds the old secret stays good.")
    ] = None,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="End the old one at once.")] = False,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Make a new secret, shown once, here; the old one stays good until it is dropped."""
    if drop_old and old_expires_in is not None:
        fail("--drop-old and --old-expires-in exclude each other", WRONG)
    seconds = 0 if drop_old else old_expires_in

    async def work() -> None:
        async with reach(where) as admin:
            issued = await admin.ask(
                "rotateClientSecret",
                IssuedClientAnswer,
                {"old_expires_in": seconds},
                client_id=client_id,
            )
            printing.issued(issued, json=json)

    _run(work(), json=json)


@app.command()
@reachable
def drop_old_secret(client_id: IdArgument, json: JsonOption = False, *, where: Where) -> None:
    """End the secret before the current one, once nobody uses it any more."""
    _ask_and_show("dropPreviousClientSecret", client_id, where, json=json)


@app.command()
@reachable
def apply(
    file: Annotated[Path, typer.Argument(help="A clients file (config/clients.yaml).")],
    prune: Annotated[
        bool, typer.Option("--prune", help="Disable clients the file no longer names.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Make the registered clients what a file says, and show the difference."""

    async def work() -> None:
        listed = [
            one.model_dump(mode="json", exclude_unset=True) for one in clients_file.entries(file)
        ]
        wanted = {"clients": listed, "prune": prune, "dry_run": dry_run}
        async with reach(where) as admin:
            plan = await admin.ask("applyClients", PlanAnswer, wanted)
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


def _ask_and_show(operation: str, client_id: str, where: Where, *, json: bool) -> None:
    async def work() -> None:
        async with reach(where) as admin:
            found = await admin.ask(operation, ClientAnswer, client_id=client_id)
            printing.client(found, json=json)

    _run(work(), json=json)


def _run(work: Coroutine[Any, Any, None], *, json: bool) -> None:
    async def listing_problems() -> None:
        try:
            await work
        except InvalidClientMetadata as refusal:
            printing.problems(refusal, json=json)
            raise typer.Exit(REFUSED) from None

    run(listing_problems())
