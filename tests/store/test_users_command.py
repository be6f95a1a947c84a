"""`keyturn users`, run as an operator runs it: accounts, and the import of other systems'."""

import asyncio
import json
from functools import partial
from uuid import uuid4

import asyncpg
import pytest
from argon2 import PasswordHasher
from passlib.handlers.bcrypt import bcrypt
from passlib.handlers.django import django_pbkdf2_sha256
from passlib.handlers.pbkdf2 import pbkdf2_sha256
from passlib.handlers.scrypt import scrypt
from typer.testing import CliRunner

from keyturn.cli.users import app
from support.people import HERE, people

ADA, PASSWORD = "Ada@Example.com", "correct horse"
CHEAP_HASH = bcrypt.using(rounds=4).hash(PASSWORD)


async def run(
    database_url: str, *args: str, stdin: str | bytes = "", **more: str
) -> tuple[int, str, str]:
    """Run one command; return its exit code and what it printed."""
    environment = more | {
        "KEYTURN_ISSUER": "https://id.example",
        "KEYTURN_POSTGRES__URL": database_url,
        "KEYTURN_SECRETS": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
        "KEYTURN_PASSWORDS__MEMORY_KIB": "7168",
        "KEYTURN_PASSWORDS__TIME_COST": "5",
    }
    # Its own thread: a command brings its own event loop.
    result = await asyncio.to_thread(CliRunner().invoke, app, args, env=environment, input=stdin)
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def users(database_url: str):
    return partial(run, database_url)


@pytest.fixture
async def sql(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def lines(*members: dict) -> str:
    return "".join(json.dumps(one) + "\n" for one in members)


def line(email: str = ADA, **members) -> dict:
    return {"email": email, "password_hash": CHEAP_HASH} | members


async def test_a_generated_password_is_printed_once_and_signs_in(users, database_url):
    code, out, err = await users("add", ADA, "--name", "Ada", "--json")
    assert (code, err) == (0, "")
    added = json.loads(out)
    assert (added["email"], added["name"], added["emailVerified"]) == (ADA, "Ada", False)
    assert len(added["password"]) == 20
    async with people(database_url) as rooms:
        person = await rooms.authenticator.authenticate(ADA, added["password"], HERE)
    assert str(person.user.id) == added["id"]
    assert added["password"] not in (await users("list", "--json"))[1]


async def test_a_generated_password_is_printed_even_when_the_audit_trail_cannot_be_written(
    users, database_url, sql
):
    """The account is there by then: unprinted, its password would be lost for good."""
    async with sql.transaction():
        await sql.execute("lock table audit_events in access exclusive mode")
        for args in (("add", ADA, "--json"), ("set-password", ADA, "--json")):
            code, out, err = await users(*args, KEYTURN_POSTGRES__LOCK_TIMEOUT="0.02")
            assert code == 3
            assert "write: LockNotAvailableError" in err
            password = json.loads(out)["password"]
            async with people(database_url) as rooms:
                await rooms.authenticator.authenticate(ADA, password, HERE)


async def test_a_password_comes_from_stdin_or_a_prompt_and_is_not_echoed(users, database_url):
    code, out, _ = await users("add", ADA, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert code == 0
    code, prompted, _ = await users(
        "add", "bob@example.com", "--prompt", stdin=f"{PASSWORD}\n{PASSWORD}\n"
    )
    assert code == 0
    assert PASSWORD not in out + prompted
    async with people(database_url) as rooms:
        for email in (ADA, "bob@example.com"):
            await rooms.authenticator.authenticate(email, PASSWORD, HERE)


@pytest.mark.parametrize(
    ("args", "stdin", "code", "complaint"),
    [
        (("add", "nobody"), "", 1, "malformed"),
        (("add", "bob@example.com", "--password-stdin"), "short\n", 1, "8 to 128"),
        (("add", "bob@example.com", "--password-stdin", "--prompt"), "", 2, "choose one"),
        (("add", "ada@example.com"), "", 1, "exists already"),
        (("disable", "unknown@example.com"), "", 1, "no such"),
        (("enable", str(uuid4())), "", 1, "no such"),
        (("set-password", "neither"), "", 1, "its id or its e-mail"),
        (("delete", ADA), "", 2, "--yes"),
        (("list", "--limit", "0"), "", 2, "greater than or equal to 1"),
        (("import", "/nowhere/users.jsonl"), "", 2, "No such file"),
    ],
)
async def test_refusals_say_why_and_have_their_exit_code(users, args, stdin, code, complaint):
    await users("add", ADA)
    got, out, err = await users(*args, stdin=stdin)
    assert (got, out) == (code, "")
    assert complaint in err
    assert "Traceback" not in err


async def test_a_database_that_is_away_is_not_a_refusal():
    code, _, err = await run("postgresql://127.0.0.1:1/nowhere", "list")
    assert code == 3
    assert "database is not available" in err


async def test_the_life_of_an_account(users, database_url, sql):
    user_id = json.loads((await users("add", ADA, "--json"))[1])["id"]
    async with people(database_url) as rooms:
        await users("set-password", ADA, "--password-stdin", stdin=PASSWORD)
        await rooms.sign_in(ADA, PASSWORD)
        assert (await users("disable", ADA, "--json"))[1] == '{"ended":1}\n'
        assert "disabled" in (await users("list"))[1]
        assert json.loads((await users("enable", user_id, "--json"))[1])["disabledAt"] is None
        await rooms.sign_in(ADA, PASSWORD)
        code, out, _ = await users("set-password", user_id)
        assert (code, out.splitlines()[0]) == (0, "password set; ended 1 sessions")
        made = out.splitlines()[1].removeprefix("password: ")
        await rooms.sign_in(ADA, made)
    assert (await users("delete", user_id, "--yes"))[1] == "erased; ended 1 sessions\n"
    assert json.loads((await users("list", "--json"))[1]) == {"users": [], "after": None}
    kinds = [row["type"] for row in await sql.fetch("select type from audit_events")]
    assert {"user_added", "user_disabled", "user_enabled", "password_changed", "user_deleted"} <= (
        set(kinds)
    )


async def test_lists_are_paged_and_never_show_a_hash(users):
    for name in "cab":
        await users("add", f"{name}@example.com")
    code, out, err = await users("list", "--limit", "2")
    assert [row.split()[2] for row in out.splitlines()] == ["a@example.com", "b@example.com"]
    assert err == "more: --after b@example.com\n"
    code, out, _ = await users("list", "--after", "b@example.com", "--json")
    listed = json.loads(out)
    assert ([user["email"] for user in listed["users"]], listed["after"]) == (
        ["c@example.com"],
        None,
    )
    assert "argon2" not in out
    assert code == 0


# Import


async def test_accounts_of_every_kind_are_imported_sign_in_and_are_rehashed(
    users, database_url, sql
):
    hashes = {
        "bcrypt": CHEAP_HASH,
        "pbkdf2": pbkdf2_sha256.using(rounds=1000).hash(PASSWORD),
        "django": django_pbkdf2_sha256.using(rounds=1000).hash(PASSWORD),
        "scrypt": scrypt.using(rounds=4).hash(PASSWORD),
        "argon2": PasswordHasher(1, 1024, 1).hash(PASSWORD),
    }
    given = lines(*(line(f"{kind}@example.com", password_hash=h) for kind, h in hashes.items()))
    code, out, _ = await users("import", "-", stdin=given)
    assert (code, out) == (0, "added 5, skipped 0, refused 0\n")
    async with people(database_url) as rooms:
        for kind in hashes:
            await rooms.authenticator.authenticate(f"{kind}@example.com", PASSWORD, HERE)
    stored = [row["password_hash"] for row in await sql.fetch("select password_hash from users")]
    assert all(one.startswith("$argon2id$v=19$m=7168,t=5,p=1$") for one in stored)


async def test_members_are_kept(users, tmp_path, sql):
    user_id = uuid4()
    file = tmp_path / "users.jsonl"
    file.write_text("\ufeff" + lines(line(id=str(user_id), name=" Ada ", email_verified=True)))
    assert (await users("import", str(file)))[0] == 0
    row = await sql.fetchrow("select id, email, email_key, name, email_verified from users")
    assert tuple(row) == (user_id, ADA, "ada@example.com", "Ada", True)


BAD = {
    "not JSON": ("{", "Expecting"),
    "not an object": ("[]", "not an object"),
    "a member twice": ('{"email": "a@b.c", "email": "b@b.c"}', "named twice"),
    "unknown member": (json.dumps(line(password="x")), "unknown member"),
    "no e-mail": (json.dumps({"password_hash": CHEAP_HASH}), "email: Field required"),
    "no hash": (json.dumps({"email": ADA}), "password_hash: Field required"),
    "bad e-mail": (json.dumps(line("nobody")), "email: not of the form"),
    "surrogate": ('{"email": "\\ud800@b.c", "password_hash": "x"}', "email: "),
    "bad id": (json.dumps(line(id="7")), "id: Input should be a valid UUID"),
    "null id is none, number is": (json.dumps(line(id=7)), "id: "),
    "text for a truth": (json.dumps(line(email_verified="yes")), "email_verified: "),
    "long name": (json.dumps(line(name="x" * 201)), "name: longer"),
    "plain password": (json.dumps(line(password_hash=PASSWORD)), "not a hash of a supported"),
    "dear hash": (json.dumps(line(password_hash=CHEAP_HASH.replace("$04$", "$31$"))), "cost 31"),
    "huge line": (json.dumps(line(name="x" * 100_000)), "longer than 16384 bytes"),
}


async def test_each_bad_line_is_told_by_its_number_and_loses_nothing_else(users, sql):
    given = "".join(
        f"{bad}\n{json.dumps(line(f'good{number}@example.com'))}\n"
        for number, (bad, _) in enumerate(BAD.values())
    )
    code, out, err = await users("import", "-", stdin=given)
    assert code == 1
    assert out == f"added {len(BAD)}, skipped 0, refused {len(BAD)}\n"
    told = [row for row in err.splitlines() if row.startswith("line ")]
    assert len(told) == len(BAD)
    for number, (row, (kind, (_, reason))) in enumerate(zip(told, BAD.items(), strict=True)):
        assert row.startswith(f"line {2 * number + 1}: refused: "), kind
        assert reason in row, kind
    assert await sql.fetchval("select count(*) from users") == len(BAD)
    for secret in (PASSWORD, "$2b$"):
        assert secret not in out + err


async def test_bytes_that_are_no_text_are_a_bad_line(users):
    code, _, err = await users("import", "-", stdin=b'{"email": "\xff@b.c"}\n')
    assert code == 1
    assert "line 1: refused: not UTF-8" in err


async def test_strict_writes_nothing_unless_every_line_is_good(users, sql):
    good = [line(f"{number}@example.com") for number in range(3)]
    given = lines(*good, line("nobody"))
    code, out, _ = await users("import", "-", "--strict", stdin=given)
    assert (code, out) == (1, "added 0, skipped 0, refused 1\n")
    assert await sql.fetchval("select count(*) from users") == 0
    assert (await users("import", "-", "--strict", stdin=lines(*good)))[0] == 0
    assert await sql.fetchval("select count(*) from users") == 3


async def test_an_import_can_be_repeated(users, sql):
    given = lines(line("a@example.com", id=str(uuid4())), line("b@example.com"))
    assert (await users("import", "-", stdin=given))[0] == 0
    before = await sql.fetch("select * from users order by id")
    code, out, _ = await users("import", "-", "--json", stdin=given)
    assert code == 0
    report = json.loads(out)
    assert (report["added"], report["skipped"], report["refused"]) == (0, 2, 0)
    assert [one["line"] for one in report["lines"]] == [1, 2]
    assert await sql.fetch("select * from users order by id") == before


async def test_a_repeated_person_in_one_file_is_skipped(users, sql):
    given = lines(line("a@example.com"), line("A@EXAMPLE.com"), line("b@example.com"))
    code, out, _ = await users("import", "-", stdin=given)
    assert (code, out) == (0, "added 2, skipped 1, refused 0\n")


async def test_an_address_that_belongs_to_another_id_is_told(users):
    """Skipped silently, other systems would know the person by an id that is not theirs here."""
    await users("import", "-", stdin=lines(line(id=str(uuid4()))))
    code, _, err = await users("import", "-", stdin=lines(line(id=str(uuid4()))))
    assert code == 1
    assert "line 1: refused: the e-mail belongs to another id" in err


async def test_the_id_of_an_erased_account_is_not_filled_again(users, sql):
    user_id = str(uuid4())
    await users("import", "-", stdin=lines(line(id=user_id)))
    await users("delete", user_id, "--yes")
    code, out, _ = await users("import", "-", "--json", stdin=lines(line(id=user_id)))
    assert json.loads(out)["lines"][0]["reason"] == "the id has an account, or had one"
    assert await sql.fetchval("select email from users") is None
    assert code == 0


async def test_more_than_one_batch_shows_progress(users, sql):
    given = lines(*(line(f"{number}@example.com") for number in range(1201)))
    code, _, err = await users("import", "-", stdin=given)
    assert code == 0
    assert [row.split(",")[0] for row in err.splitlines()] == [
        "added 500",
        "added 1000",
        "added 1201",
    ]
    assert await sql.fetchval("select count(*) from users") == 1201
