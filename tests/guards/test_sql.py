"""SQL is source: every named query is valid on the migrated schema, and somebody calls it."""

import importlib
import re

import asyncpg
import pytest

from keyturn.db.queries import load_queries
from support.tree import SOURCE

FILES = sorted(SOURCE.rglob("*.sql"))
QUERY_FILES = [file for file in FILES if file.parent.name != "migrations"]


def _package(file):
    return ".".join(file.relative_to(SOURCE.parent).parent.parts)


@pytest.mark.parametrize("file", QUERY_FILES, ids=lambda file: file.name)
async def test_every_query_is_prepared_by_the_database(file, database_url):
    connection = await asyncpg.connect(database_url)
    try:
        for query in load_queries(_package(file), file.name).values():
            try:
                await connection.prepare(query.sql)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{file.name}: {query.name}: {error}")
    finally:
        await connection.close()


@pytest.mark.parametrize("file", QUERY_FILES, ids=lambda file: file.name)
def test_every_query_is_called_by_its_name(file):
    importlib.import_module(_package(file))
    source = "\n".join(one.read_text(encoding="utf-8") for one in SOURCE.rglob("*.py"))
    called = set(re.findall(r'SQL\["([a-z_0-9]+)"\]', source))
    named = set(load_queries(_package(file), file.name))
    assert named - called == set()


def test_every_query_says_what_it_is_for():
    for file in QUERY_FILES:
        for query in load_queries(_package(file), file.name).values():
            assert len(query.purpose.split()) >= 3, f"{file.name}: {query.name}"


def test_no_statement_is_written_outside_an_sql_file():
    """Except for session settings and locks, which are not about data."""
    statement = re.compile(
        r'"(?:select .* from|insert into|update \w+ set|delete from) ', re.IGNORECASE
    )
    migrate = SOURCE / "db" / "migrate.py"
    found = [
        f"{module.relative_to(SOURCE)}: {line.strip()}"
        for module in SOURCE.rglob("*.py")
        if module != migrate
        for line in module.read_text(encoding="utf-8").splitlines()
        if statement.search(line)
    ]
    assert found == []
