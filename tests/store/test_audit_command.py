"""`keyturn audit`, run as an operator runs it: list, export, and go on where one stopped."""

import asyncio
import json
import stat
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from keyturn.cli.audit import app

ADA, PHONE = UUID(int=1), UUID(int=11)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
PUT = """
insert into audit_events (id, at, type, result, actor, user_id, client_id, session_id, ip,
                          request_id, detail)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


async def run(database_url: str, *args: str) -> tuple[int, str, str]:
    """Run one command; return its exit code and what it printed."""
    environment = {
        "KEYTURN_ISSUER": "https://id.example",
        "KEYTURN_POSTGRES__URL": database_url,
        "KEYTURN_SECRETS": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
    }
    # Its own thread: a command brings its own event loop.
    result = await asyncio.to_thread(
        CliRunner().invoke, app, args, env=environment, catch_exceptions=False
    )
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def audit(database_url: str):
    return partial(run, database_url)


@pytest.fixture
async def sql(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def put(sql, type_, minutes, *, detail="{}", **members):
    """Write one event as the server would, so many minutes past noon."""
    names = ("actor", "user_id", "client_id", "session_id", "ip", "request_id")
    values = [members.get(name) for name in names]
    result = members.get("result", "ok")
    at = NOON + timedelta(minutes=minutes)
    await sql.execute(PUT, uuid4(), at, type_, result, *values, detail)


@pytest.fixture
async def three(sql):
    """A sign-in from a phone, the end of its session by an operator, and a strange client."""
    who = {"user_id": ADA, "client_id": "web"}
    await put(sql, "sign_in", 0, actor=f"user:{ADA}", ip="203.0.113.7", request_id="r-1", **who)
    ended = '{"reason": "admin", "os_user": "root"}'
    await put(sql, "session_ended", 1, actor="cli", session_id=PHONE, detail=ended, **who)
    said = '{"reason": "\\u001b[31mred\\u202e"}'
    await put(sql, "code_refused", 2, result="failed", client_id="odd", detail=said)


def parsed(lines):
    return [json.loads(line) for line in lines.splitlines()]


async def test_events_are_listed_the_newest_first_for_people(audit, three):
    code, out, err = await audit("list", "--until", "2026-11-25T12:02:00")
    assert (code, err) == (0, "")
    ended, sign_in = out.splitlines()
    assert ended == (
        "2026-11-25 12:01:00Z  session_ended  ok  actor=cli  user_id=00000000-0000-0000-0000-"
        "000000000001  client_id=web  session_id=00000000-0000-0000-0000-00000000000b"
        "  reason=admin  os_user=root"
    )
    assert sign_in.endswith("client_id=web  ip=203.0.113.7  request_id=r-1")


async def test_what_a_terminal_would_obey_is_shown_escaped(audit, three):
    code, out, _ = await audit("list", "--type", "code_refused")
    assert code == 0
    assert out.isascii()
    assert 'reason="\\x1b[31mred\\u202e"' in out


async def test_programs_page_through_the_list(audit, three):
    seen, after = [], ()
    for _ in range(3):
        code, out, _ = await audit("list", "--limit", "1", "--client", "web", *after, "--json")
        assert code == 0
        page = json.loads(out)
        seen += [one["type"] for one in page["events"]]
        after = ("--after", page["after"])
        if page["after"] is None:
            break
    assert seen == ["session_ended", "sign_in"]
    assert "more: --after " in (await audit("list", "--limit", "1"))[2]


async def test_each_filter_reaches_the_trail(audit, three):
    for words, types in (
        (("--user", str(ADA)), ["session_ended", "sign_in"]),
        (("--session", str(PHONE)), ["session_ended"]),
        (("--actor", "cli", "--client", "web"), ["session_ended"]),
        (("--ip", "203.0.113.0/24"), ["sign_in"]),
        (("--result", "failed"), ["code_refused"]),
        (("--since", "2026-11-25T12:02:00Z", "--until", "2026-11-25T12:03:00Z"), ["code_refused"]),
        (("--type", "sign_in", "--type", "code_refused"), ["code_refused", "sign_in"]),
    ):
        code, out, _ = await audit("list", *words, "--json")
        assert code == 0
        assert [one["type"] for one in json.loads(out)["events"]] == types, words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--type", "sign_inn"), "did you mean sign_in?"),
        (("list", "--ip", "300.1.1.1"), "neither an address nor a network"),
        (("list", "--since", "yesterday"), "--since takes an ISO 8601 time"),
        (("list", "--after", "AAAA"), "not a cursor"),
        (("list", "--client", "a\x07b"), "not printable"),
        (("export", "--after", "x"), "not a cursor"),
        (("export", "--append"), "--append needs a FILE"),
        (("export", "/nowhere/at/all"), "No such file or directory"),
        (("tail", "--actor", "\x00"), "not printable"),
    ],
)
async def test_what_no_event_can_have_is_wrong_usage(audit, words, said):
    code, out, err = await audit(*words)
    assert (code, out) == (2, "")
    assert said in err


async def test_an_export_is_json_lines_in_the_order_of_becoming_visible(audit, three, tmp_path):
    file = tmp_path / "trail.jsonl"
    code, out, err = await audit("export", str(file), "--client", "web")
    assert (code, out) == (0, "")
    sign_in, ended = parsed(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(sign_in) == [
        "id", "at", "type", "result", "actor", "user_id", "client_id", "session_id", "ip",
        "request_id", "detail", "cursor",
    ]  # fmt: skip
    assert (sign_in["type"], sign_in["at"]) == ("sign_in", "2026-11-25T12:00:00Z")
    assert ended["detail"] == {"reason": "admin", "os_user": "root"}
    assert err.startswith("exported 2 events; go on with --after ")


async def test_an_export_goes_on_from_any_line_and_from_where_it_ended(audit, three, sql, tmp_path):
    file = tmp_path / "trail.jsonl"
    await audit("export", str(file), "--json")
    whole = parsed(file.read_text())
    code, out, _ = await audit("export", "--after", whole[0]["cursor"])
    assert code == 0
    assert parsed(out)[: len(whole) - 1] == whole[1:]
    # Dated before everything that was exported: it waited for the database.
    await put(sql, "sign_in", -600)
    code, out, _ = await audit("export", str(file), "--append", "--after", whole[-1]["cursor"])
    assert (code, out) == (0, "")
    types = [one["type"] for one in parsed(file.read_text())]
    assert types[-3:] == ["audit_read", "sign_in", "audit_read"]
    assert types.count("audit_read") == 3


async def test_a_file_that_exists_is_not_overwritten(audit, tmp_path):
    file = tmp_path / "trail.jsonl"
    file.write_text("kept\n")
    code, _, err = await audit("export", str(file))
    assert (code, file.read_text()) == (2, "kept\n")
    assert "--append adds to it" in err


async def test_a_full_disk_is_told_with_where_to_go_on(audit, three):
    code, _, err = await audit("export", "/dev/full", "--append")
    assert code == 1
    assert "the export was cut short: No space left on device" in err


async def test_a_summary_for_programs_stands_on_stderr(audit, three):
    code, out, err = await audit("export", "--type", "sign_in", "--json")
    assert (code, len(parsed(out))) == (0, 1)
    summary = json.loads(err)
    assert summary["events"] == 1
    code, out, err = await audit("export", "--type", "sign_in", "--after", summary["after"])
    assert (code, out) == (0, "")


async def test_who_reads_the_trail_is_in_it(audit, sql):
    await audit("list", "--user", str(ADA), "--type", "sign_in")
    row = await sql.fetchrow("select actor, detail from audit_events where type = 'audit_read'")
    detail = json.loads(row["detail"])
    assert row["actor"] == "cli"
    assert (detail["how"], detail["filter"]) == ("list", f"types=sign_in user={ADA}")
    assert detail["os_user"]


async def test_no_database_is_exit_code_3():
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    code, out, err = await run(nowhere, "export")
    assert (code, out) == (3, "")
    assert "the database is not available" in err
