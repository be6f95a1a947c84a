"""PostgreSQL behind a pooler, and a URL that is read again: what is refused, and what is taken."""

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from keyturn.configuration import load_settings
from keyturn.db.address import Address
from keyturn.db.session import Session
from keyturn.settings_postgres import PostgresSettings

POOLER = "postgresql://app:one@pooler:6432/keyturn"
SERVER = "postgresql://app:one@server/keyturn"
OTHER = "postgresql://app:two@server/keyturn"
GOOD = {
    "KEYTURN_ISSUER": "https://id.example",
    "KEYTURN_SECRETS": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
}


def pooled(**more):
    return PostgresSettings(url=SecretStr(POOLER), pooler="transaction", **more)


def write(file, text, mode=0o600):
    file.unlink(missing_ok=True)
    file.touch(mode)
    file.write_text(text)


@pytest.fixture
def address(tmp_path):
    """An address whose file says SERVER."""
    write(tmp_path / "url", SERVER)
    environ = {**GOOD, "KEYTURN_POSTGRES__URL_FILE": str(tmp_path / "url")}
    return Address(load_settings(environ).postgres.url)


def test_a_pooler_needs_a_way_past_it():
    with pytest.raises(ValidationError, match="needs direct_url, which leads past the pooler"):
        pooled()


def test_a_pooler_and_asynchronous_rotation_are_refused():
    with pytest.raises(ValidationError, match="async_rotation is not for pooler: transaction"):
        pooled(direct_url=SecretStr(SERVER), async_rotation=True)


def test_what_needs_a_session_goes_past_the_pooler():
    direct = pooled(direct_url=SecretStr(SERVER)).direct()
    assert (direct.dsn(), direct.is_pooled) == (SERVER, False)
    alone = PostgresSettings(url=SecretStr(SERVER)).direct()
    assert alone.dsn() == SERVER


def test_a_pooler_is_told_at_the_start_only_what_it_keeps_for_each_client():
    session = Session.of(pooled(direct_url=SecretStr(SERVER)), {"synchronous_commit": "local"})
    assert set(session.at_start) == {"application_name", "timezone", "client_encoding"}
    assert session.begin.startswith("begin; set local statement_timeout = '2000'; ")
    assert "set local synchronous_commit = 'local'; " in session.begin


def test_without_one_a_session_is_told_once():
    session = Session.of(PostgresSettings(url=SecretStr(SERVER)), {"lock_timeout": "0"})
    assert session.begin == "begin"
    assert session.at_start["lock_timeout"] == "0"
    assert session.at_start["statement_timeout"] == "2000"


def test_a_file_is_read_again_each_time(address):
    assert address.url() == SERVER
    write(address.secret.path, OTHER)
    assert address.url() == OTHER


@pytest.mark.parametrize(
    ("text", "mode"), [("", 0o600), ("postgresql://app:two", 0o644), ("mysql://x", 0o600)]
)
def test_a_file_that_start_up_would_refuse_changes_nothing_and_is_told_of_once(address, text, mode):
    write(address.secret.path, text, mode)
    with capture_logs() as lines:
        assert [address.url() for _ in range(3)] == [SERVER] * 3
    assert [line["event"] for line in lines] == ["postgres_url_file_refused"]
    assert "two" not in str(lines)
    write(address.secret.path, OTHER)
    assert address.url() == OTHER


def test_a_file_that_is_missing_changes_nothing(address):
    address.secret.path.unlink()
    with capture_logs() as lines:
        assert address.url() == SERVER
    assert len(lines) == 1


def test_a_variable_is_stronger_than_the_file_of_a_weaker_source(tmp_path):
    write(tmp_path / "url", SERVER)
    config = tmp_path / "keyturn.yaml"
    config.write_text("postgres: {url_file: url}")
    settings = load_settings({**GOOD, "KEYTURN_POSTGRES__URL": OTHER}, config)
    write(tmp_path / "url", POOLER)
    assert Address(settings.postgres.url).url() == OTHER
    assert Address(load_settings(GOOD, config).postgres.url).url() == POOLER


def test_the_login_that_worked_last_stands_in_for_one_that_is_refused(address):
    address.worked(SERVER)
    with capture_logs() as lines:
        assert address.other_login(OTHER) == SERVER
        assert address.other_login(OTHER) == SERVER
    assert [line["event"] for line in lines] == ["postgres_login_refused"]
    assert "two" not in str(lines)


@pytest.mark.parametrize("url", [SERVER, POOLER, "postgresql://app:two@server/other"])
def test_but_only_at_the_same_server_and_database(address, url):
    address.worked(SERVER)
    assert address.other_login(url) is None
