"""Values no process starts with, and combinations that are only safe on a laptop."""

import re

import pytest

from keyturn.configuration import load_settings
from keyturn.errors import SettingsRefused
from keyturn.settings_syntax import LONGEST_LIFETIME

GOOD = {
    "issuer": "https://id.example",
    "secrets": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
    "postgres": {"url": "postgresql://keyturn@db.example/keyturn"},
}
LAPTOP = {"issuer": "http://localhost:8080", "development": True}
LIFETIMES = [
    "tokens.access_token_lifetime",
    "tokens.client_credentials_lifetime",
    "sessions.absolute_lifetime",
    "sessions.remembered_lifetime",
    "sessions.unremembered_lifetime",
    "sessions.idle_lifetime",
]


def loaded(name="issuer", value=GOOD["issuer"], **more):
    section, _, key = name.rpartition(".")
    own = {section: {**GOOD.get(section, {}), key: value}} if section else {key: value}
    return load_settings({}, None, {**GOOD, **own, **more})


def refusal(name, value, **more):
    with pytest.raises(SettingsRefused) as caught:
        loaded(name, value, **more)
    return str(caught.value)


@pytest.mark.parametrize("name", LIFETIMES)
def test_a_lifetime_under_a_minute_is_for_laptops(name):
    assert "lifetimes under 60 s are for development: true" in refusal(name, 59)
    loaded(name, 60)
    loaded(name, 1, **LAPTOP)


@pytest.mark.parametrize("name", [*LIFETIMES, "sessions.step_up_max_age", "keys.period"])
@pytest.mark.parametrize("value", [0, LONGEST_LIFETIME + 1, 10**14])
def test_a_lifetime_that_no_date_could_hold_is_refused(name, value):
    assert refusal(name, value, **LAPTOP).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("tokens.access_token_lifetime", 3600),
        ("tokens.client_credentials_lifetime", 3600),
        ("keys.jwks_max_age", 3600),
        ("revocation.trust", 2),
        ("revocation.copy_interval", 0.5),
        ("postgres.statement_timeout", 3600),
        ("redis.timeout", 3600),
        ("server.drain_seconds", 3600),
        ("server.grace_seconds", 3600),
        ("sessions.max_per_user", 10_000),
        ("jobs.purge_interval", 86_400),
        ("jobs.purge_batch", 100_000),
        ("jobs.keys_interval", 60),
    ],
)
def test_a_bound_is_kept_on_laptops_too(name, most):
    loaded(name, most, **LAPTOP)
    for value in (most + 1, "inf", "nan", 10**14):
        assert refusal(name, value, **LAPTOP).startswith(f"{name}: ")


def test_a_deadline_that_postgresql_would_take_for_none_is_refused():
    assert refusal("postgres.lock_timeout", 0.0009).startswith("postgres.lock_timeout: ")
    loaded("postgres.lock_timeout", 0.001)


def test_development_is_refused_for_an_issuer_that_others_can_reach():
    assert "loopback issuer only" in refusal("development", value=True)


@pytest.mark.parametrize("path", ["/", "/auth"])
def test_a_cookie_reaches_the_session_api(path):
    assert loaded("session_api.cookie_path", path).session_api.cookie_path == path


@pytest.mark.parametrize(
    "path", ["", "auth", "/a", "/auth/", "/auth/refresh", "/app", "//", "/; x"]
)
def test_a_cookie_that_would_not_reach_the_session_api_is_refused(path):
    assert refusal("session_api.cookie_path", path).startswith("session_api.cookie_path: ")


@pytest.mark.parametrize(
    "issuer",
    ["https://id.example:8443", "https://127.0.0.1", "https://[2001:db8::1]:65535"],
)
def test_an_issuer_is_a_host_and_perhaps_a_port(issuer):
    assert loaded("issuer", issuer).issuer == issuer


@pytest.mark.parametrize("issuer", ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1"])
def test_an_issuer_without_tls_is_on_this_machine(issuer):
    assert loaded("issuer", issuer).is_loopback
    assert "loopback only" in refusal("issuer", "http://id.example")


@pytest.mark.parametrize(
    "issuer",
    [
        "https://id.example?",
        "https://id.example#",
        "https://id.example/",
        "https://id.example ",
        " https://id.example",
        "https://id.example\n",
        "https://id.ex\nample",
        "https://id example",
        "https://id.example:",
        "https://id.example:0",
        "https://id.example:080",
        "https://id.example:99999",
        "https://id.example:https",
        "https://:pw@id.example",
        "https://@id.example",
        "https://ID.example",
        "HTTPS://id.example",
        "https://[::1",
        "https://",
        "https://ïd.example",
        "//id.example",
        "",
    ],
)
def test_an_issuer_that_could_be_written_in_two_ways_is_refused(issuer):
    assert refusal("issuer", issuer) == (
        "issuer: the issuer is https://host or https://host:port in lower case, no more"
    )


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("postgres.url", "postgresql:///keyturn"),
        ("postgres.url", "postgres://u:p%2Fw@db:5432/keyturn?sslmode=verify-full"),
        ("postgres.url", "postgresql://u:a:b@[2001:db8::1]:5432,db_2.example/keyturn"),
        ("postgres.url", "postgresql://u@/keyturn?host=%2Frun%2Fpostgres&port=5432"),
        ("postgres.url", "postgresql://u@%2Frun%2Fpostgres/keyturn?application_name=one"),
        ("redis.url", "redis://cache"),
        ("redis.url", "redis://u:p%40w@cache:6379/15"),
        ("redis.url", "redis://:p@w@127.0.0.1:6379/?db=3"),
        ("redis.url", "rediss://cache:6380/0?ssl_ca_certs=%2Fetc%2Fca.pem"),
        ("redis.url", "unix:///run/valkey.sock?db=3"),
        ("redis.url", "redis+sentinel://u:p%40w@s1:26379,s2,[2001:db8::1]:26379/3?service=main"),
        ("redis.url", "rediss+sentinel://s1/?service=m&sentinel_password=p&ssl_ca_certs=%2Fca.pem"),
        ("redis.url", "redis+cluster://u:p@n1:6379,n2:6379"),
        ("redis.url", "rediss+cluster://n1/0?ssl_cert_reqs=none"),
    ],
)
def test_a_url_that_the_driver_reads_is_taken(name, url):
    section, _, key = name.partition(".")
    assert getattr(getattr(loaded(name, url), section), key).get_secret_value() == url


CANARY = "s3cr3t"
UNREADABLE = {
    "postgres.url": [
        f"postgresql://u:{CANARY}/w@db/keyturn",
        f"postgresql://u:1{CANARY}?w@db/keyturn",
        f"postgresql://u:{CANARY}#w@db/keyturn",
        f"postgresql://u:{CANARY}@w@db/keyturn",
        f"postgresql://u:{CANARY}[w@db/keyturn",
        f"postgresql://u:{CANARY}\u2100w@db/keyturn",
        f"postgresql://u:{CANARY} w@db/keyturn",
        f"postgresql://u:5432/{CANARY}@db/keyturn",
        f"postgresql://u:{CANARY}@db:0/keyturn",
        f"postgresql://u:{CANARY}@db:99999/keyturn",
        f"postgresql://u:{CANARY}@db,/keyturn",
        f"postgresql://u:{CANARY}@/keyturn?host=a&port=x",
        f"postgresql://u:{CANARY}@db/keyturn?sslmode=yes",
        f"postgresql://u:{CANARY}@db/keyturn?sslmode",
        f"mysql://u:{CANARY}@db/keyturn",
        f"host=db password={CANARY}",
        "",
    ],
    "redis.url": [
        f"redis://:{CANARY}/w@cache:6379/0",
        f"redis://:{CANARY}#w@cache:6379/0",
        f"redis://:{CANARY}?w@cache:6379/0",
        f"redis://:6379/{CANARY}@cache/0",
        f"redis://:6379?{CANARY}=@cache/0",
        f"redis://:{CANARY}[w@cache/0",
        f"redis://:{CANARY}@cache:99999/0",
        f"redis://:{CANARY}@cache:port/0",
        f"redis://:{CANARY}@one,two/0",
        f"redis://:{CANARY}@cache/zero",
        f"redis://:{CANARY}@cache?db=zero",
        f"redis://:{CANARY}@cache?protocol=3",
        f"redis://:{CANARY}@cache?ssl_ca_certs=x",
        f"unix://:{CANARY}@",
        f"cache:6379:{CANARY}",
        f"redis+sentinel://:{CANARY}@s1,s2/0",
        f"redis+sentinel://:{CANARY}@s1,s2/0?service=",
        f"redis+sentinel://:{CANARY}@s1,/0?service=main",
        f"redis+sentinel://:{CANARY}@s1/zero?service=main",
        f"redis+sentinel://:{CANARY}/w@s1/0?service=main",
        f"redis+cluster://:{CANARY}@n1,n2/1",
        f"redis+cluster://:{CANARY}@n1?db=1",
        f"redis+cluster://:{CANARY}@n1?service=main",
        f"redis+server://:{CANARY}@n1",
        f"redis+://:{CANARY}@n1",
        f"unix+cluster://:{CANARY}@n1/path",
        "",
    ],
}


@pytest.mark.parametrize(
    ("name", "url"), [(name, url) for name, urls in UNREADABLE.items() for url in urls]
)
def test_a_url_that_the_driver_would_misread_is_refused_and_not_repeated(name, url):
    said = refusal(name, url)
    assert re.fullmatch(rf"{name}: write \w+://user:password@host:port/[^\n]+", said)
    assert CANARY not in said


@pytest.mark.parametrize("number", ["²", "1x", "-1", "", "1" * 5000])
def test_the_id_of_a_secret_is_a_small_number(number):
    said = refusal("secrets", f"{number}: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra")
    assert said in {
        "secrets: write each secret as `id: value`",
        "secrets: secret ids are different numbers from 1 to 255",
    }


def test_registration_is_off_and_a_bare_off_of_yaml_is_a_word():
    assert loaded().registration.mode == "off"
    assert loaded("registration.mode", value=False).registration.mode == "off"
    assert "registration.mode" in refusal("registration.mode", value=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scopes", ["openid", "keyturn.admin.write"]),
        ("scopes", ["two words"]),
        ("audiences", ["api"]),
        ("audiences", ["https://api.example/#part"]),
        ("grant_types", ["urn:ietf:params:oauth:grant-type:token-exchange"]),
        ("grant_types", ["implicit"]),
        ("grant_types", ["client_credentials"]),
        ("most_clients", 0),
        ("most_per_day", 0),
        ("most_per_address", 0),
        ("unused_expires", 59),
    ],
)
def test_what_nobody_who_registers_may_have_no_setting_gives(name, value):
    assert refusal(f"registration.{name}", value).startswith("registration")


def test_lists_of_registration_may_be_words_of_one_variable():
    assert loaded("registration.scopes", "openid, orders").registration.scopes == (
        "openid",
        "orders",
    )
