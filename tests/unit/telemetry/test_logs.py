import json
import logging
import time
import warnings
from collections.abc import Iterator
from io import BytesIO

import pytest
import structlog

from keyturn.telemetry import logs
from support.log_lines import LogLines, caught_logs, fail

TOKEN = "krt1_" + "Ab-_" * 23
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
CANARIES = {
    "a refresh token": f"token {TOKEN} was replayed",
    "a client secret": "kts_0123456789abcdef given",
    "an initial access token": "kti_0123456789abcdef given",
    "a registration access token": "ktr_0123456789abcdef given",
    "a JWT": f"got {JWT} instead",
    "a JWT cut short": f"got {JWT.rpartition('.')[0]}",
    "a password in a URL": "cannot reach postgresql://keyturn:s3cr3t-canary@db:5432/kt",
    "a bearer header": "header was Bearer abc.def-canary",
    "a basic header": "header was basic YWRhOmNhbmFyeQ==",
    "a form": "body was grant_type=x&client_secret=canary&password=canary2 end",
    "a key": "-----BEGIN PRIVATE KEY-----\nMIIcanary\n-----END PRIVATE KEY-----",
    "half a key": "-----BEGIN RSA PRIVATE KEY-----\nMIIcanary",
}
PARTS = ("krt1_", "kts_", "kti_", "ktr_", "eyJ", "canary", "Y2FuYXJ5", "YWRhOmNh", "MII")


@pytest.fixture
def caught() -> Iterator[LogLines]:
    with caught_logs() as caught:
        yield caught


def test_a_line_is_json_with_time_level_logger_and_event(caught):
    structlog.get_logger("keyturn.keys").warning("rotated", kid="k1", count=3)
    assert caught.all() == [
        {
            "time": "2026-09-01T12:00:00Z",
            "level": "warning",
            "logger": "keyturn.keys",
            "event": "rotated",
            "kid": "k1",
            "count": 3,
        }
    ]


def test_lines_under_the_level_are_left_out(caught):
    structlog.get_logger("x").debug("quiet")
    assert caught.all() == []


def test_lines_of_one_request_carry_its_id(caught):
    entered = logs.enter_request("id-1")
    structlog.get_logger("x").info("within")
    logs.leave_request(entered)
    structlog.get_logger("x").info("after")
    assert [line.get("request_id") for line in caught.all()] == ["id-1", None]


@pytest.mark.parametrize("name", CANARIES)
def test_OP_1_what_looks_like_a_secret_is_redacted_wherever_it_stands(caught, name):
    text = CANARIES[name]
    log = structlog.get_logger("x")
    log.info(text)
    log.info("nested", found={"deep": [{"er": text}], text: 1}, error=ValueError(text))
    logging.getLogger("uvicorn.error").warning("of a library: %s", text)
    try:
        fail(text)
    except RuntimeError:
        log.exception("failed")
    assert len(caught.all()) == 4
    for part in PARTS:
        assert part not in caught.text
    assert caught.text.count("[redacted]") >= 5


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "newPassword",
        "client_secret",
        "refresh_token",
        "Authorization",
        "set-cookie",
        "dsn",
        "private_key",
        "device_code",
        "user_code",
        "request_uri",
    ],
)
def test_OP_1_the_value_under_a_telling_key_is_redacted_whatever_it_is(caught, key):
    structlog.get_logger("x").info("e", **{key: "hunter2"}, more={key: ["hunter2"]})
    assert "hunter2" not in caught.text
    assert caught.all()[0][key] == "[redacted]"


def test_counts_under_such_a_key_are_kept(caught):
    structlog.get_logger("x").info("e", tokens=3, password_changed=True)
    assert (caught.all()[0]["tokens"], caught.all()[0]["password_changed"]) == (3, True)


def test_OP_1_bytes_are_never_logged(caught):
    structlog.get_logger("x").info("e", key=b"hunter2")
    assert "hunter2" not in caught.text


def test_OP_1_tracebacks_show_no_local_variables(caught):
    local = "hunter2-local"
    try:
        fail(f"boom {len(local)}")
    except RuntimeError:
        structlog.get_logger("x").exception("failed")
        logging.getLogger("asyncio").exception("failed there")
    for line in caught.all():
        assert "RuntimeError: boom 13" in line["exception"]
        assert "hunter2-local" not in json.dumps(line).replace('local = \\"hunter2-local\\"', "")


def test_warnings_become_lines(caught):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    assert caught.all()[0]["logger"] == "py.warnings"


def test_a_library_s_own_level_number_is_logged_all_the_same(caught):
    logging.getLogger("odd").log(35, "odd")
    assert caught.all()[0]["level"] == "warning"


def test_a_stream_that_broke_costs_lines_and_says_how_many():
    class Broken(BytesIO):
        broken = True

        def write(self, data):
            if self.broken:
                raise BrokenPipeError
            return super().write(data)

    stream = Broken()
    writer = logs.LineWriter(stream)
    writer.write(b"{}")
    writer.write(b"{}")
    stream.broken = False
    writer.write(b'{"event":"back"}')
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one.get("event") for one in told] == ["back", "log_lines_lost"]
    assert told[1]["lines"] == 2


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" + "a" * 100_000,
        "eyJaaaaaa." * 10_000,
        "://" + "a:" * 50_000,
        "krt1" * 25_000,
        "-----BEGIN " * 9_000,
        "bearer " * 14_000,
    ],
)
def test_DS_3_redaction_takes_no_longer_for_hostile_text(text):
    began = time.perf_counter()
    logs.redact(text)
    assert time.perf_counter() - began < 0.2


def test_a_stream_that_takes_a_part_is_given_the_rest():
    class Narrow(BytesIO):
        def write(self, data):
            return super().write(data[:7])

    stream = Narrow()
    logs.LineWriter(stream).write(b'{"event":"a long line"}')
    assert stream.getvalue() == b'{"event":"a long line"}\n'


def test_a_stream_that_is_full_costs_lines_only():
    class Full:
        def write(self, _data):
            return None

    writer = logs.LineWriter(Full())
    writer.write(b"{}")
    writer.write(b"{}")
    assert writer.lost == 2
