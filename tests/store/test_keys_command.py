"""`keyturn keys`, run as an operator runs it, against a real database."""

import asyncio
import json
from functools import partial

import asyncpg
import pytest
from typer.testing import CliRunner

from keyturn.cli.keys import app


async def run(database_url: str, *args: str) -> tuple[int, str, str]:
    """Run one command; return its exit code and what it printed."""
    environment = {
        "KEYTURN_ISSUER": "https://id.example",
        "KEYTURN_POSTGRES__URL": database_url,
        "KEYTURN_SECRETS": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
    }
    # Its own thread: a command brings its own event loop.
    result = await asyncio.to_thread(CliRunner().invoke, app, args, env=environment)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def keys(database_url: str):
    return partial(run, database_url)


async def test_keys_are_made_listed_and_refused_an_early_rotation(keys):
    assert (await keys("list", "--json"))[1] == '{"keys":[]}\n'
    code, out, _ = await keys("rotate", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"steps": [{"step": "add", "state": "signing"}, {"step": "add", "state": "next"}]},
    )
    assert await keys("rotate") == (0, "nothing is due\n", "")
    listed = json.loads((await keys("list", "--json"))[1])["keys"]
    assert sorted(key["state"] for key in listed) == ["next", "signing"]
    assert all(key["usable"] and key["secretId"] == 1 for key in listed)
    assert [("maySignFrom" in key) == (key["state"] == "next") for key in listed] == [True, True]
    code, out, err = await keys("rotate", "--now")
    assert (code, out) == (1, "")
    assert "may not sign yet" in err


async def test_a_promotion_and_an_emergency(keys, database_url):
    await keys("rotate")
    connection = await asyncpg.connect(database_url)
    await connection.execute("update signing_keys set since = since - interval '15 min'")
    await connection.close()
    steps = json.loads((await keys("rotate", "--now", "--json"))[1])["steps"]
    assert [step["step"] for step in steps] == ["retire", "promote", "add"]
    steps = json.loads((await keys("rotate", "--compromised", "--json"))[1])["steps"]
    assert [step["step"] for step in steps] == ["remove", "promote", "add"]
    listed = json.loads((await keys("list", "--json"))[1])["keys"]
    assert sorted(key["state"] for key in listed) == ["next", "retired", "signing"]
    assert ["removedAfter" in key for key in listed if key["state"] == "retired"] == [True]
    assert "state=retired" in (await keys("list"))[1]


async def test_the_two_ways_of_rotating_exclude_each_other(keys):
    code, _, err = await keys("rotate", "--now", "--compromised")
    assert code == 2
    assert "choose one" in err


async def test_a_database_that_is_away_is_not_a_refusal():
    code, _, err = await run("postgresql://127.0.0.1:1/nowhere", "list")
    assert code == 3
    assert "database is not available" in err
