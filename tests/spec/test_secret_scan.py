"""OP-1: no secret stands anywhere it can be read: logs, metrics, process list, Redis, database.

A server lives a full day here (`support.secret_day`), trouble included, with secrets nobody else
has; then everything it left behind is searched for all of them. The same search finds a planted one.
"""

import base64
import json
import subprocess
from collections.abc import AsyncIterator
from itertools import product
from secrets import token_urlsafe
from urllib.parse import quote
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from keyturn.users.model import NewUser
from support import extras
from support.api import Person
from support.forging import Forger
from support.redis_topologies import connect
from support.secret_day import Day, lived
from support.secret_scan import Finding, scan


@pytest.fixture(scope="module")
async def day(databases, shared_redis_url, tmp_path_factory) -> AsyncIterator[Day]:
    async with lived(databases, shared_redis_url, tmp_path_factory.mktemp("secrets")) as day:
        yield day


async def test_OP_1_no_secret_stands_anywhere(day):
    places = await day.places()
    assert places["log"].count(b'"event":"request"') > 40
    assert b"keyturn_refresh_rotations" in places["metrics"]
    assert len(places["Redis"]) > 100
    if extras.OTEL:
        assert b"sessions.rotate" in places["traces"]
        assert b"POST /auth/login" in places["traces"]
    assert any(place.startswith("environment of") for place in places)
    for table in ("users", "sessions", "clients", "signing_keys"):
        assert places[f"table public.{table}"], table
    kinds = {name.rpartition(" ")[0] for name in day.secrets}
    assert kinds >= {
        "master secret", "password of database", "password of redis", "password", "new password",
        "wrong password", "client secret", "refresh token", "cookie", "private exponent",
        "device code", "user code", "client assertion", "proof", "pushed request",
        "initial access token", "registration access token",
    }  # fmt: skip
    assert sum(name.startswith("refresh token") for name in day.secrets) >= 7
    assert scan(day.secrets, places) == []


async def planted_in_table(day: Day, text: str) -> None:
    await day.api.sql.execute("update users set name = $1", text)


async def planted_in_redis(day: Day, text: str) -> None:
    async with connect(day.redis_url) as client:
        await client.set("a planted key", text, ex=60)


async def planted_in_log(day: Day, text: str) -> None:
    with day.api.replicas[0].log.open("a") as log:
        log.write(json.dumps({"event": text}) + "\n")


def planted_in_process(text: str) -> "subprocess.Popen[bytes]":
    """Run something that looks like a database server and says too much."""
    return subprocess.Popen(
        ["postgres: planted", "-c", "sleep 60; :", text], executable="/bin/sh", env={"X": text}
    )


SPELT = {
    "raw": lambda secret: secret.decode("latin-1"),
    "hex": lambda secret: secret.hex(),
    "base64": lambda secret: base64.b64encode(b"x" + secret).decode(),
    "URL-encoded": lambda secret: quote(b" " + secret + b"/"),
}


async def test_OP_1_the_same_search_finds_what_is_planted(day):
    """A secret of its own for each spelling, all of them at once in every place."""
    planted = {spelling: token_urlsafe(24).encode() for spelling in SPELT}
    text = " ".join(SPELT[spelling](secret) for spelling, secret in planted.items())
    waiting = planted_in_process(text)
    try:
        for plant in (planted_in_table, planted_in_redis, planted_in_log):
            await plant(day, text)
        found = scan({**day.secrets, **planted}, await day.places())
    finally:
        waiting.kill()
        waiting.wait()
        async with connect(day.redis_url) as client:
            await client.delete("a planted key")
        await day.api.sql.execute("update users set name = 'Ada'")
    places = (
        "table public.users",
        "Redis",
        "log",
        f"command line of {waiting.pid}",
        f"environment of {waiting.pid}",
    )
    assert {(one.secret, one.place) for one in found} == set(product(planted, places))


async def test_OP_1_a_private_key_is_found_as_PEM_as_DER_and_as_JWK(day):
    device = await day.api.sign_in(await a_person(day))
    key = (await Forger.of(day.api, device)).key
    exponent = key.private_numbers().d.to_bytes(256, "big")
    forms = {
        "PEM": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "PKCS #1": key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ),
        "PEM in JSON": json.dumps(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        ).encode(),
        "DER": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "JWK": json.dumps({"d": base64.urlsafe_b64encode(exponent).decode().rstrip("=")}).encode(),
        "hex": exponent.hex().encode(),
    }
    for form, text in forms.items():
        found = scan(day.secrets, {form: b"before " + text + b" after"})
        assert {one.secret.rpartition(" ")[0] for one in found} >= {"private exponent"}, form
    sealed = await day.api.sql.fetchval("select private_sealed from signing_keys limit 1")
    assert scan(day.secrets, {"sealed": sealed}) == []


async def a_person(day: Day) -> Person:
    password = token_urlsafe(18)
    user = await day.api.operator.accounts.add(
        NewUser(f"{uuid4().hex}@example.com", password=password)
    )
    return Person(user.id, user.email, password)


def test_OP_1_every_spelling_of_every_kind_is_found_wherever_it_stands():
    secret = b"p\xc3\xa4ss/w+rd &%\x00"
    spelt = [
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        quote(secret).encode(),
        *(base64.b64encode(bytes(pad) + secret + b"zz") for pad in range(6)),
        *(base64.urlsafe_b64encode(bytes(pad) + secret + b"zz") for pad in range(6)),
        b"\n".join(base64.b64encode(b"front" + secret)[at : at + 7] for at in range(0, 32, 7)),
    ]
    for text in spelt:
        found = scan({"it": secret}, {"here": b"..." + text + b"...", "there": b"nothing"})
        assert {(one.secret, one.place) for one in found} == {("it", "here")}, text
    assert scan({"it": secret}, {"here": secret[:-1]}) == []
    assert Finding("it", "raw", "here") in scan({"it": secret}, {"here": secret})
