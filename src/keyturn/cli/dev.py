"""`keyturn dev`: the whole server on a laptop, with nothing else installed."""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.app import Serving, serve_forever
from keyturn.cli.context import WRONG, ConfigOption, JsonOption, fail, print_json, run
from keyturn.configuration import environment, load_settings
from keyturn.db.migrate import migrate
from keyturn.dev import example_files, master_secret, settings_file
from keyturn.dev.banner import Facts
from keyturn.dev.data_dir import DataDir, in_words
from keyturn.dev.demo_site import DemoSite
from keyturn.dev.example_api import ExampleApi
from keyturn.dev.seed import seed
from keyturn.dev.supervisor import EmbeddedPair, PairOptions, embedded_pair
from keyturn.dev.watch import watched
from keyturn.errors import EmbeddedStartFailed
from keyturn.settings import Settings
from keyturn.telemetry.logs import stderr_writer
from keyturn.web import server
from keyturn.web.listening import listen


@dataclass(frozen=True, slots=True)
class DevOptions:
    """What was asked for on the command line."""

    port: int
    management_port: int
    example_port: int
    demo_port: int
    data: Path | None
    ephemeral: bool
    config: Path | None
    clients: Path | None
    json: bool


def dev(
    port: Annotated[int, typer.Option(help="Public port; 0 picks one.")] = 8080,
    management_port: Annotated[
        int, typer.Option(help="Health, metrics, administration; 0 picks one.")
    ] = 8081,
    example_port: Annotated[int, typer.Option(help="The example API; 0 picks one.")] = 8082,
    demo_port: Annotated[int, typer.Option(help="The demo, for a browser; 0 picks one.")] = 8084,
    data: Annotated[Path | None, typer.Option(help="Data folder (default: one a project).")] = None,
    ephemeral: Annotated[bool, typer.Option(help="Throw the data away at the end.")] = False,
    clients: Annotated[Path | None, typer.Option(help="A clients.yaml to apply as well.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Run everything: PostgreSQL, Valkey, demo people and clients, an API, a page, the server.

    For loopback only. Data is kept between starts, one folder a working directory. It ends, and
    says why, when PostgreSQL or the example API does; without Valkey it goes on.
    """
    environ = environment()
    if "KUBERNETES_SERVICE_HOST" in environ:
        fail("dev is for laptops; in a cluster use `keyturn serve` with a PostgreSQL", WRONG)
    options = DevOptions(
        port, management_port, example_port, demo_port, data, ephemeral, config, clients, json
    )
    try:
        run(_work(options, environ), server.run)
    except EmbeddedStartFailed as error:
        fail(str(error), WRONG)


async def _work(options: DevOptions, environ: Mapping[str, str]) -> None:
    serving = Serving(
        listen("localhost", options.port),
        listen("localhost", options.management_port),
        stderr_writer(),
    )
    demo_sockets = listen("localhost", options.demo_port)
    folder = _data_dir(options, environ)
    pair_options = PairOptions(search_path=environ.get("PATH", ""))
    example = ExampleApi(_free_port(options.example_port), folder)
    async with embedded_pair(folder, pair_options) as pair:
        settings = _settings(options, environ, pair, serving)
        demo = DemoSite.of(demo_sockets, settings.issuer, example.url, example_files.demo())
        facts = _facts(settings, pair, serving, example, demo)
        example.start(settings.issuer, demo.url)
        try:
            await migrate(settings.postgres.dsn())
            await seed(settings, demo_url=demo.url, example_url=example.url)
            async with (
                watched((pair.postgres, example.process), pair.valkey, _tell),
                demo.served(settings.server),
            ):
                await serve_forever(settings, serving, lambda: _announce(facts, json=options.json))
        finally:
            await example.process.stop()


def _data_dir(options: DevOptions, environ: Mapping[str, str]) -> DataDir:
    if options.ephemeral:
        return DataDir.temporary(environ)
    if options.data is not None:
        return DataDir.at(options.data, environ)
    return DataDir.default(Path.cwd(), environ)


def _settings(
    options: DevOptions, environ: Mapping[str, str], pair: EmbeddedPair, serving: Serving
) -> Settings:
    """Return what the developer set, with the servers and ports of this start over it."""
    with in_words():
        secrets = master_secret.read_or_make(pair.data_dir)
    overrides: dict[str, Any] = {
        "issuer": f"http://localhost:{_port(serving.public)}",
        "development": True,
        "secrets": secrets,
        "postgres": {"url": pair.postgres_url},
        "redis": {"url": pair.redis_url},
        "server": {"drain_seconds": 0},
    }
    if options.clients is not None:
        overrides["clients_file"] = options.clients
    return load_settings(environ, options.config, overrides)


def _facts(
    settings: Settings,
    pair: EmbeddedPair,
    serving: Serving,
    example: ExampleApi,
    demo: DemoSite,
) -> Facts:
    port = _port(serving.management)
    with in_words():
        config = settings_file.write(pair, settings.issuer, port)
    return Facts(
        issuer=settings.issuer,
        management_url=f"http://localhost:{port}",
        postgres_url=pair.postgres_url,
        redis_url=pair.redis_url,
        data_dir=pair.data_dir,
        config=config,
        pids={"keyturn": os.getpid(), **pair.pids},
        example_api_url=example.url,
        demo_url=demo.url,
    )


def _tell(sentence: str) -> None:
    print(f"keyturn: {sentence}", file=sys.stderr, flush=True)


async def _announce(facts: Facts, *, json: bool) -> None:
    if json:
        print_json(facts.as_json())
    else:
        print(facts.as_text(), flush=True)


def _port(sockets: Sequence[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1])


def _free_port(wanted: int) -> int:
    """Return `wanted`, or a free port for 0; refuse a taken one before anything starts."""
    sockets = listen("localhost", wanted)
    port = _port(sockets)
    for one in sockets:
        one.close()
    return port
