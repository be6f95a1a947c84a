"""`keyturn serve --json`: what a program that starts the server reads."""

import asyncio
import json
import sys

from keyturn.cli import serve
from support import replicas


async def test_the_ports_are_announced_once_it_is_ready_and_the_log_goes_to_stderr(
    monkeypatch, capfd
):
    bound = []

    async def serve_forever(settings, serving, on_ready):
        bound.extend(one[0].getsockname()[1] for one in (serving.public, serving.management))
        assert serving.writer.stream.fileno() == sys.stderr.fileno()
        assert capfd.readouterr().out == ""
        await on_ready()
        for one in (*serving.public, *serving.management):
            one.close()

    monkeypatch.setattr(serve, "serve_forever", serve_forever)
    for name, value in replicas.settings("postgresql:///nowhere", None).items():
        monkeypatch.setenv(name, value)
    await asyncio.to_thread(serve.serve, json=True)
    port, management_port = bound
    assert json.loads(capfd.readouterr().out) == {
        "issuer": replicas.ISSUER,
        "port": port,
        "managementPort": management_port,
    }
