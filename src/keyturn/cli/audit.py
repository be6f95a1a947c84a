"""`keyturn audit`: list, follow and export what happened; who reads is audited, too.

Exit codes: 0 done, 1 refused (an export that was cut short), 2 wrong usage or settings, 3 the
database, or the server, is away. What is exported can be gone on with from the `cursor` of any
line.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from keyturn.audit.trail import AuditFilter, AuditRecord
from keyturn.cli import audit_asking as asking
from keyturn.cli import audit_printing as printing
from keyturn.cli.audit_events import Events
from keyturn.cli.audit_following import Following
from keyturn.cli.context import JsonOption, print_json, run
from keyturn.cli.where import Where, reachable

app = typer.Typer(help="What happened: list, follow, export.", no_args_is_help=True)

AT_ONCE = 1000
"""Events that one statement of an export reads."""

Lines = Annotated[int, typer.Option(min=0, max=1000, help="Begin with so many of the latest.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Most events to show.")]


@app.command("list")
@reachable
def list_(
    since: asking.Since = None,
    until: asking.Until = None,
    types: asking.Types = None,
    user: asking.User = None,
    client: asking.Client = None,
    session: asking.Session = None,
    actor: asking.Actor = None,
    ip: asking.Ip = None,
    result: asking.Result = None,
    limit: Limit = 50,
    after: asking.After = None,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """List events, the newest first; page on with --after."""
    given = asking.Given(since, until, types, user, client, session, actor, ip, result)
    wanted = asking.wanted(given, after)

    async def work() -> None:
        async with asking.reading(where, "list", given) as trail:
            page = await trail.page(wanted, after, limit)
        if json:
            print_json({"events": [one.members() for one in page.events], "after": page.next})
            return
        for event in page.events:
            print(printing.line(event))
        if page.next:
            print(f"more: --after {page.next}", file=sys.stderr)

    run(work())


@app.command()
@reachable
def tail(
    types: asking.Types = None,
    user: asking.User = None,
    client: asking.Client = None,
    session: asking.Session = None,
    actor: asking.Actor = None,
    ip: asking.Ip = None,
    result: asking.Result = None,
    lines: Lines = 10,
    after: asking.After = None,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Show the latest events, then each as it happens, until SIGINT, SIGTERM or a closed pipe.

    With --after, all since that cursor instead of the latest. With --json, a line is an event.
    """
    given = asking.Given(None, None, types, user, client, session, actor, ip, result)
    wanted = asking.wanted(given, after)

    async def work() -> None:
        async with asking.reading(where, "tail", given) as trail:
            show = printing.json_line if json else printing.line
            await Following(trail, wanted, show).run(after, lines)

    run(work())


@app.command()
@reachable
def export(
    file: Annotated[
        Path | None, typer.Argument(help="A new file; absent: stdout.", metavar="FILE")
    ] = None,
    since: asking.Since = None,
    until: asking.Until = None,
    types: asking.Types = None,
    user: asking.User = None,
    client: asking.Client = None,
    session: asking.Session = None,
    actor: asking.Actor = None,
    ip: asking.Ip = None,
    result: asking.Result = None,
    after: asking.After = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add to FILE instead of making it.")
    ] = False,
    json: JsonOption = False,
    *,
    where: Where,
) -> None:
    """Write events as JSON lines, in the order they became visible; go on later with --after.

    An event a line. How many, and where to go on, is said on stderr; with --json as JSON.
    """
    given = asking.Given(since, until, types, user, client, session, actor, ip, result)
    wanted = asking.wanted(given, after)

    async def work() -> None:
        with printing.exporting(file, append=append) as out:
            async with asking.reading(where, "export", given) as trail:
                await _export(trail, wanted, after, out)
            out.finish(json=json)

    run(work())


async def _export(
    trail: Events, wanted: AuditFilter, after: str | None, out: printing.Exported
) -> None:
    events: list[AuditRecord] | None = None
    out.cursor = after
    while events is None or len(events) == AT_ONCE:
        page = await trail.since(wanted, out.cursor, AT_ONCE)
        events = list(page.events)
        out.write(events)
        out.cursor = page.next
