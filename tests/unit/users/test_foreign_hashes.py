"""Hashes of other systems: which are taken in, and at what price."""

import base64
import time

import pytest
from argon2 import PasswordHasher, Type
from argon2.low_level import hash_secret
from hypothesis import given
from hypothesis import strategies as st
from passlib.handlers.bcrypt import bcrypt
from passlib.handlers.django import django_pbkdf2_sha256
from passlib.handlers.pbkdf2 import pbkdf2_sha256
from passlib.handlers.scrypt import scrypt

from keyturn.users import foreign_hashes


def _b64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode().rstrip("=")


PUBLISHED = {
    # crypt_blowfish, wrapper.c
    "bcrypt": ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
    "bcrypt, empty": ("", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"),
    # RFC 7914 section 11, the first 32 octets
    "pbkdf2": (
        "passwd",
        "$pbkdf2-sha256$1$c2FsdA$"
        + _b64("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
    ),
    # RFC 7914 section 12, the first 32 octets
    "scrypt": (
        "pleaseletmein",
        "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
        + _b64("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"),
    ),
}
LIBRARY_MADE = {
    "bcrypt 2a": lambda text: bcrypt.using(rounds=4, ident="2a").hash(text),
    "bcrypt 2b": lambda text: bcrypt.using(rounds=4, ident="2b").hash(text),
    "bcrypt 2y": lambda text: bcrypt.using(rounds=4, ident="2y").hash(text),
    "pbkdf2-sha256": lambda text: pbkdf2_sha256.using(rounds=1000).hash(text),
    "Django": lambda text: django_pbkdf2_sha256.using(rounds=1000).hash(text),
    "scrypt": lambda text: scrypt.using(rounds=4).hash(text),
    "scrypt 7": lambda text: scrypt.using(rounds=4, ident="$7$").hash(text),
}


@pytest.mark.parametrize("kind", LIBRARY_MADE)
def test_a_supported_hash_is_taken_in_and_verified(kind):
    stored = LIBRARY_MADE[kind]("pässwort one")
    foreign_hashes.check_importable(stored)
    assert foreign_hashes.verify(stored, "pässwort one")
    assert not foreign_hashes.verify(stored, "pässwort onf")
    assert foreign_hashes.covers(stored, "pässwort one")


@pytest.mark.parametrize("kind", PUBLISHED)
def test_published_vectors_verify(kind):
    password, stored = PUBLISHED[kind]
    foreign_hashes.check_importable(stored)
    assert foreign_hashes.verify(stored, password)
    assert not foreign_hashes.verify(stored, password + "x")


@pytest.mark.parametrize("kind", [Type.I, Type.D, Type.ID])
@pytest.mark.parametrize("version", [16, 19])
def test_every_argon2_is_taken_in(kind, version):
    stored = hash_secret(b"password", b"saltsalt", 1, 64, 1, 32, kind, version=version).decode()
    foreign_hashes.check_importable(stored)
    assert PasswordHasher().verify(stored, "password")


def test_bcrypt_reads_72_octets_and_what_it_did_not_read_is_not_hashed_anew():
    stored = bcrypt.using(rounds=4).hash("x" * 72)
    assert foreign_hashes.verify(stored, "x" * 72)
    assert foreign_hashes.covers(stored, "x" * 72)
    assert foreign_hashes.verify(stored, "x" * 72 + "tail")
    assert not foreign_hashes.covers(stored, "x" * 72 + "tail")


A43, B64 = "A" * 43, "a" * 43
BCRYPT = "$2b${}$" + "A" * 21 + "." + "A" * 30 + "."
DEAR = [
    (BCRYPT.format(15), "cost 15"),
    (BCRYPT.format(31), "cost 31"),
    (f"$argon2id$v=19$m=262145,t=1,p=1$c2FsdHNhbHQ${A43}", "m=262145"),
    (f"$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ${A43}", "m=9999999"),
    (f"$argon2id$v=19$m=19456,t=9999999,p=1$c2FsdHNhbHQ${A43}", "t=9999999"),
    (f"$argon2id$v=19$m=19456,t=2,p=17$c2FsdHNhbHQ${A43}", "p=17"),
    (f"$pbkdf2-sha256$2000001$aaaa${B64}", "2000001 rounds"),
    (f"$pbkdf2-sha256$4294967295$aaaa${B64}", "4294967295 rounds"),
    (f"pbkdf2_sha256$2000001$salt${A43}=", "2000001 rounds"),
    (f"$scrypt$ln=19,r=8,p=1$aaaa${B64}", "memory"),
    (f"$scrypt$ln=31,r=8,p=1$aaaa${B64}", "memory"),
    (f"$scrypt$ln=10,r=8,p=9999$aaaa${B64}", "parallelism"),
    (f"$scrypt$ln=17,r=1,p=1$aaaa${B64}", "r=1"),
]


@pytest.mark.parametrize(("stored", "complaint"), DEAR)
def test_a_hash_that_would_cost_minutes_or_gigabytes_is_refused_at_import(stored, complaint):
    began = time.perf_counter()
    with pytest.raises(ValueError, match=complaint):
        foreign_hashes.check_importable(stored)
    assert time.perf_counter() - began < 0.05


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "password",
        "*",
        "!",
        "x" * 100_000,
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$2$05$" + "A" * 53,
        "$2x$05$" + "A" * 53,
        "$2b$05$" + "A" * 52,
        "$2b$05$" + "A" * 53 + "\n",
        BCRYPT.format("03"),
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
        f"$argon2id$v=19$m=19456,t=0,p=1$c2FsdHNhbHQ${A43}",
        f"$argon2id$v=19$m=7,t=1,p=1$c2FsdHNhbHQ${A43}",
        f"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ${B64}",
        f"$argon2id$v=19$m=19456,t=2,p=1,keyid=x$c2FsdHNhbHQ${A43}",
        f"$argon2id$v=19$m=-1,t=2,p=1$c2FsdHNhbHQ${A43}",
        f"$pbkdf2-sha256$0$aaaa${B64}",
        f"$pbkdf2-sha256$1000$aaaaa${B64}",
        f"$pbkdf2-sha512$1000$aaaa${B64}",
        f"$scrypt$ln=0,r=8,p=1$aaaa${B64}",
        f"$scrypt$r=8,ln=4,p=1$aaaa${B64}",
        "$scrypt$ln=4,r=8,p=1$aaaa",
        f"$argon2id$v=19$m=\uff11\uff19456,t=2,p=1$c2FsdHNhbHQ${A43}",
    ],
)
def test_what_is_no_supported_hash_is_refused(stored):
    with pytest.raises(ValueError, match=r"malformed|not a|cannot be used"):
        foreign_hashes.check_importable(stored)


CHARACTERS = "$./+=,0123456789ablnrpmtvArgonyx_-"
STARTS = [
    "$2b$04$",
    "$pbkdf2-sha256$9$",
    "pbkdf2_sha256$9$",
    "$scrypt$ln=2,r=2,p=",
    "$7$",
    "$argon2",
]


@given(st.sampled_from(STARTS), st.text(CHARACTERS, max_size=90))
def test_whatever_is_taken_in_can_be_compared_without_an_error(start, rest):
    stored = start + rest
    try:
        foreign_hashes.check_importable(stored)
    except ValueError:
        return
    if not stored.startswith("$argon2"):
        assert foreign_hashes.verify(stored, "password") is False


@given(
    ln=st.integers(1, 6),
    r=st.integers(1, 9),
    p=st.integers(1, 4),
    salt=st.text("ABCDabcd0123", min_size=2, max_size=24),
)
def test_every_scrypt_that_is_taken_in_can_be_computed(ln, r, p, salt):
    stored = f"$scrypt$ln={ln},r={r},p={p}${salt}${'A' * 43}"
    try:
        foreign_hashes.check_importable(stored)
    except ValueError:
        return
    assert foreign_hashes.verify(stored, "password") is False
