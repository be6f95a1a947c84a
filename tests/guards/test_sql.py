"""SQL is source: every named query is valid on the migrated schema, and somebody calls it."""

import ast
import re

import asyncpg
import pytest

from keyturn.db.queries import Query, load_queries
from support.tree import SOURCE, differences, nodes, sources

QUERY_FILES = sorted(one for one in SOURCE.rglob("*.sql") if one.parent.name != "migrations")
STATEMENT = re.compile(
    r"\s*(?:select\s.*\bfrom\s|with\s+(?:recursive\s+)?\w+\s+as\s.*\(|insert\s+into\s"
    r"|update\s+\S+\s+set\s|delete\s+from\s|merge\s+into\s|truncate\s|copy\s+\S+\s+(?:from|to)\s"
    r"|(?:create|alter|drop)\s+(?:unlogged\s+)?(?:table|index|function|type|view|sequence)\s)",
    re.IGNORECASE | re.DOTALL,
)
"""How a statement about data begins. Session settings, locks and NOTIFY are not about data."""

OWN_TABLE = "db/migrate.py"
"""The one exception: it makes and fills the table that says which files were applied."""

LOADED = re.compile(r'^SQL = load_queries\(__package__, "(\w+\.sql)"\)', re.MULTILINE)


def load(file):
    return load_queries(".".join(file.relative_to(SOURCE.parent).parent.parts), file.name)


async def refused(connection, queries):
    """Return which queries the database cannot prepare, and why."""
    complaints = []
    for query in queries:
        try:
            await connection.prepare(query.sql)
        except asyncpg.PostgresError as error:
            complaints.append(f"{query.name}: {error}")
    return complaints


def called(tree):
    """Return every query that is called, as `room/file.sql: name`.

    A module calls the queries of the file it loads, or of the module it imports `SQL` from: a
    name that two rooms share proves nothing about the other one.
    """
    files = {}
    for name, source in tree.items():
        for file in LOADED.findall(source):
            files[name] = f"{name.rpartition('/')[0]}/{file}"
    names = set()
    for name, source in tree.items():
        file = files.get(name) or files.get(_imported_from(source))
        names |= {f"{file}: {one}" for one in re.findall(r'\bSQL\["(\w+)"\]', source)}
    return names


def _imported_from(source):
    """Return the module that a module takes `SQL` from."""
    for node in nodes(source):
        if isinstance(node, ast.ImportFrom) and "SQL" in {one.name for one in node.names}:
            return (node.module or "").removeprefix("keyturn.").replace(".", "/") + ".py"
    return None


def statements(tree):
    """Return the statements that stand in Python, however their text is put together."""
    return [
        f"{name}:{node.lineno}"
        for name, source in tree.items()
        if name != OWN_TABLE
        for node in nodes(source)
        if isinstance(node, ast.stmt) and not _is_document(node)
        if _says_statement(list(_pieces(node)))
    ]


def _is_document(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _pieces(node):
    """Yield a statement's own literals in order; what is filled in stands as one word."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        elif isinstance(child, ast.FormattedValue):
            yield "filled_in"
        elif not isinstance(child, ast.stmt):
            yield from _pieces(child)


def _says_statement(pieces):
    return any(
        STATEMENT.match(f"{glue.join(pieces[start:])} ")
        for start in range(len(pieces))
        for glue in ("", " ")
    )


@pytest.fixture
async def connection(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_every_query_is_prepared_by_the_database(connection):
    for file in QUERY_FILES:
        assert await refused(connection, load(file).values()) == [], file.name


def test_every_query_is_called_in_its_own_room():
    named = {f"{one.relative_to(SOURCE)}: {name}" for one in QUERY_FILES for name in load(one)}
    assert differences(called(sources()), named) == []


def test_every_query_says_what_it_is_for():
    for file in QUERY_FILES:
        for query in load(file).values():
            assert len(query.purpose.split()) >= 3, f"{file.name}: {query.name}"


def test_no_statement_is_written_outside_an_sql_file():
    assert statements(sources()) == []


# -- what the guards find when it is planted ------------------------------------------------------


async def test_a_query_that_the_schema_does_not_know_is_found(connection):
    bad = [Query("good", "", "select id from sessions"), Query("bad", "", "select id from nowhere")]
    assert await refused(connection, bad) == ['bad: relation "nowhere" does not exist']


LOADS = 'SQL = load_queries(__package__, "{}.sql")\n'


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"users/a.py": LOADS.format("users") + 'SQL["find"]'},
        {"clients/b.py": LOADS.format("other") + 'SQL["find"]'},
        {"users/a.py": LOADS.format("users"), "clients/b.py": "from keyturn.users.a import SQL\n"},
    ],
)
def test_a_query_whose_name_is_called_elsewhere_only_is_found(elsewhere):
    tree = {"clients/a.py": LOADS.format("clients") + 'SQL["insert"]'} | elsewhere
    assert "clients/clients.sql: find" not in called(tree)
    tree["clients/c.py"] = 'from keyturn.clients.a import EVER, SQL\nSQL["find"]\n'
    assert {"clients/clients.sql: find", "clients/clients.sql: insert"} <= called(tree)


@pytest.mark.parametrize(
    "expression",
    [
        '"select id from users"',
        "'delete from users'",
        '"""\n    WITH gone AS (delete from users returning id)\n    select 1"""',
        '"truncate users"',
        '("insert "\n    "into users values (1)")',
        'f"update {table} set name = null"',
        '"sel" + "ect id " + columns + " from users"',
        '" ".join(["select id", "from users"])',
        '"drop table users"',
    ],
)
def test_a_statement_in_python_is_found_however_it_is_written(expression):
    bad = f"async def erase(db):\n    return await db.execute({expression})\n"
    assert statements({"users/a.py": bad}) == ["users/a.py:2"]
    assert statements({"users/a.py": f"ERASE = {expression}\n"}) == ["users/a.py:1"]


def test_documents_locks_and_session_settings_are_no_statements():
    good = '"""Select from what is there."""\ndb.execute("select pg_advisory_lock($1)")\n'
    assert statements({"a.py": good + 'db.execute("set local lock_timeout = 1")\n'}) == []
    assert statements({OWN_TABLE: 'db.execute("create table schema_migrations ()")\n'}) == []
