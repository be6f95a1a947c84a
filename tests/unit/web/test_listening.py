import asyncio
import socket

import pytest

from keyturn.errors import SettingsRefused
from keyturn.settings import ServerSettings
from keyturn.web import server
from keyturn.web.listening import listen


def close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def test_localhost_is_both_loopbacks_on_one_port():
    sockets = listen("localhost", 0)
    addresses = [one.getsockname()[:2] for one in sockets]
    close(sockets)
    assert addresses[0][0] == "127.0.0.1"
    assert addresses[0][1] > 0
    assert addresses[1:] in ([], [("::1", addresses[0][1])])


def test_a_taken_port_is_a_clear_refusal():
    taken = listen("127.0.0.1", 0)
    port = taken[0].getsockname()[1]
    with pytest.raises(SettingsRefused, match=f"127.0.0.1:{port}.*in use"):
        listen("127.0.0.1", port)
    with pytest.raises(SettingsRefused, match=f"localhost:{port}.*in use"):
        listen("localhost", port)
    close(taken)


def test_an_address_of_another_machine_is_a_clear_refusal():
    with pytest.raises(SettingsRefused, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0)


def test_the_server_refuses_an_event_loop_it_was_not_probed_on():
    async def start() -> None:
        site = server.Site(None, [])
        await server.serve(
            site, site, ServerSettings(), None, hooks=None, stopping=server.Stopping()
        )

    with asyncio.Runner() as runner, pytest.raises(SettingsRefused, match="uvloop"):
        runner.run(start())


def test_run_uses_the_loop_the_server_needs():
    async def module() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert server.run(module()).startswith("uvloop")
