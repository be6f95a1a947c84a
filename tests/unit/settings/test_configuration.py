"""Where settings come from, and how a mistake in them is told: by name, and never by value."""

from ipaddress import ip_network

import pytest

from keyturn.configuration import load_settings
from keyturn.errors import SettingsRefused

SECRET = "Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra"
GOOD = {
    "KEYTURN_ISSUER": "https://id.example",
    "KEYTURN_SECRETS": f"1: {SECRET}",
    "KEYTURN_POSTGRES__URL": "postgresql:///unused",
}


def refusal(environ=(), config=None):
    with pytest.raises(SettingsRefused) as caught:
        load_settings({**GOOD, **dict(environ)}, config)
    return str(caught.value)


@pytest.fixture
def yaml_file(tmp_path):
    def write(content):
        path = tmp_path / "keyturn.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("KEYTURN_ISUER", "issuer"),
        ("KEYTURN_POSTGRES__POOLMAX", "postgres.pool_max"),
        ("KEYTURN_SERVER_PORT", "server.port"),
        ("KEYTURN_SESSIONS__REMEMBERED_LIFE", "sessions.remembered_lifetime"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_name(wrong, meant):
    name = wrong.removeprefix("KEYTURN_").lower().replace("__", ".")
    assert refusal({wrong: SECRET}) == f"{name}: unknown setting; did you mean {meant}?"


def test_a_name_that_is_like_no_other_is_refused_without_a_guess():
    assert refusal({"KEYTURN_XQZW": "1"}) == "xqzw: unknown setting"


def test_a_variable_of_the_tests_is_a_mistake_like_every_other():
    assert "test_postgres_url: unknown setting" in refusal({"KEYTURN_TEST_POSTGRES_URL": "x"})


def test_every_mistake_is_told_at_once():
    said = refusal({"KEYTURN_ISSUER": "id.example", "KEYTURN_LOG__LEVEL": "loud"})
    assert [line.partition(":")[0] for line in said.splitlines()] == ["issuer", "log.level"]
    assert "loud" not in said


def test_a_setting_that_is_missing_is_told_by_name():
    with pytest.raises(SettingsRefused, match=r"^secrets: is required$"):
        load_settings({name: text for name, text in GOOD.items() if "SECRETS" not in name})


def test_the_environment_is_stronger_than_the_file(yaml_file):
    file = yaml_file("issuer: https://file.example\nserver: {port: 1, management_port: 2}")
    server = load_settings({**GOOD, "KEYTURN_SERVER__PORT": "3"}, file).server
    assert (server.port, server.management_port) == (3, 2)
    assert load_settings({**GOOD, "KEYTURN_CONFIG": str(file)}).issuer == "https://id.example"


SERVICE = {
    "KEYTURN_SERVICE_HOST": "10.96.14.7",
    "KEYTURN_SERVICE_PORT": "8080",
    "KEYTURN_SERVICE_PORT_HTTP": "8080",
    "KEYTURN_PORT": "tcp://10.96.14.7:8080",
    "KEYTURN_PORT_8080_TCP": "tcp://10.96.14.7:8080",
    "KEYTURN_PORT_8080_TCP_PROTO": "tcp",
    "KEYTURN_PORT_8080_TCP_PORT": "8080",
    "KEYTURN_PORT_8080_TCP_ADDR": "10.96.14.7",
}


def test_what_kubernetes_tells_of_a_service_of_this_name_is_no_setting():
    assert load_settings(GOOD | SERVICE) == load_settings(GOOD)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("KEYTURN_PORT", "8080"),
        ("KEYTURN_SERVICE", "keyturn"),
        ("KEYTURN_SERVICE_NAME", "keyturn"),
        ("KEYTURN_SERVICE_PORT", "tcp://10.96.14.7:8080"),
        ("KEYTURN_PORT_8080", "tcp://10.96.14.7:8080"),
        ("KEYTURN_PORT_8080_TCP_HOST", "10.96.14.7"),
        ("KEYTURN_SERVER_PORT", "tcp://10.96.14.7:8080"),
        ("KEYTURN_PORT_HTTP", "8080"),
    ],
)
def test_what_only_looks_like_it_is_refused(name, text):
    assert "unknown setting" in refusal({name: text})


@pytest.mark.parametrize("text", ["10.0.0.0/8,2001:db8::/32", " 10.0.0.0/8 , 2001:db8::/32 ,"])
def test_proxies_are_listed_with_commas_and_blanks(text, yaml_file):
    expected = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    environ = {**GOOD, "KEYTURN_SERVER__TRUSTED_PROXIES": text}
    assert load_settings(environ).server.trusted_proxies == expected
    file = yaml_file("server: {trusted_proxies: [10.0.0.0/8, '2001:db8::/32']}")
    assert load_settings(GOOD, file).server.trusted_proxies == expected
    assert load_settings({**GOOD, "KEYTURN_SERVER__TRUSTED_PROXIES": ""}).server == (
        load_settings(GOOD).server
    )


def test_a_section_is_not_a_value_and_a_value_no_section():
    one, whole = {"KEYTURN_LOG__LEVEL": "info"}, {"KEYTURN_LOG": "info"}
    assert refusal(whole).startswith("log: ")
    assert refusal(one | whole).startswith("log: ")
    assert refusal(whole | one) == "KEYTURN_LOG__LEVEL: a shorter variable sets all of log"


@pytest.mark.parametrize(
    "content",
    [
        b"issuer: https://id.ex\xffample",
        b"\xff\xfei\x00s\x00",
        f"secrets: 1: {SECRET}",
        "issuer: 2026-13-32",
        "[" * 600,
        "server: {port: " + "9" * 5000 + "}",
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(yaml_file, content):
    file = yaml_file(content)
    said = refusal(config=file)
    assert said.startswith(f"{file}: cannot be read as YAML in UTF-8: ")
    assert "\n" not in said
    assert SECRET not in said


@pytest.mark.parametrize(("content", "said"), [("- 1", "by name at the top"), ("1: 2", "1: unkn")])
def test_a_file_of_another_shape_is_refused(yaml_file, content, said):
    assert said in refusal(config=yaml_file(content))


def test_a_file_that_is_missing_is_refused(tmp_path):
    assert "FileNotFoundError" in refusal(config=tmp_path / "none.yaml")


def test_a_secret_file_that_is_no_text_is_refused_and_not_repeated(tmp_path):
    file = tmp_path / "secrets"
    file.touch(0o600)
    file.write_bytes(SECRET.encode() + b"\xff")
    said = refusal({"KEYTURN_SECRETS_FILE": str(file)})
    assert said == f"{file}: is not text in UTF-8"


def test_a_secret_file_is_found_beside_the_file_that_names_it(tmp_path, yaml_file):
    file = tmp_path / "url"
    file.touch(0o640)
    file.write_text("redis://cache\n")
    settings = load_settings(GOOD, yaml_file("redis: {url_file: url}"))
    assert settings.redis.url.get_secret_value() == "redis://cache"
