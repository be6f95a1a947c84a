"""`keyturn migrate`: bring the schema up to date."""

from typing import Annotated

import typer

from keyturn.cli.context import ConfigOption, JsonOption, print_json, run
from keyturn.configuration import environment, load_settings
from keyturn.db import migrate as schema


def migrate(
    config: ConfigOption = None,
    wait: Annotated[bool, typer.Option(help="Wait up to a minute for the database.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be applied.")] = False,
    contract: Annotated[bool, typer.Option(help="Also apply what takes something away.")] = False,
    json: JsonOption = False,
) -> None:
    """Apply the migrations this database lacks; a second run finds nothing to do."""

    async def work() -> None:
        dsn = load_settings(environment(), config).postgres.direct().dsn()
        if wait:
            await schema.wait_until_reachable(dsn)
        applied = await schema.migrate(dsn, contract=contract, dry_run=dry_run)
        if json:
            print_json({"applied": list(applied), "dryRun": dry_run})
            return
        for name in applied:
            print(f"{'would apply' if dry_run else 'applied'} {name}")
        if not applied:
            print("nothing to do")

    run(work())
