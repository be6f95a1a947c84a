"""What may be a password, and how it is hashed and compared (CR-1, CR-2)."""

import unicodedata

import pytest
from argon2 import extract_parameters
from passlib.handlers.bcrypt import bcrypt

from keyturn.clock import SystemClock
from keyturn.errors import WeakPassword
from keyturn.settings_credentials import PasswordsSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.users.hash_pool import HashPool
from keyturn.users.passwords import Passwords
from support.people import CHEAP


@pytest.fixture
async def passwords():
    pool = HashPool(CHEAP, Metrics(), SystemClock())
    yield Passwords(CHEAP, pool)
    await pool.close()


async def test_a_hash_is_argon2id_in_phc_form_with_the_set_parameters(passwords):
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    parameters = extract_parameters(stored)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)
    assert stored != await passwords.hash("correct horse")


def test_cr_1_the_default_is_no_weaker_than_owasp_asks():
    default = PasswordsSettings()
    assert (default.memory_kib, default.time_cost, default.parallelism) == (19456, 2, 1)
    with pytest.raises(ValueError, match="weaker"):
        PasswordsSettings(memory_kib=19455, time_cost=2)


async def test_the_password_matches_and_another_does_not(passwords):
    stored = await passwords.hash("correct horse")
    assert (await passwords.verify(stored, "correct horse")).ok
    assert not (await passwords.verify(stored, "correct horsf")).ok
    assert not (await passwords.verify(stored, "correct horse ")).ok


async def test_nothing_matches_the_dummy(passwords):
    assert not (await passwords.verify(None, "correct horse")).ok
    assert not (await passwords.verify(None, "")).ok


async def test_the_dummy_has_the_parameters_of_a_real_hash(passwords):
    real = await passwords.hash("correct horse")
    assert extract_parameters(passwords._dummy) == extract_parameters(real)


async def test_both_unicode_forms_of_a_password_match(passwords):
    composed = "pässwörtchen"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    stored = await passwords.hash(decomposed)
    for typed in (composed, decomposed):
        verified = await passwords.verify(stored, typed)
        assert (verified.ok, verified.rehash_needed) == (True, False)


async def test_an_imported_hash_of_the_decomposed_form_matches_what_the_keyboard_sends(passwords):
    typed = unicodedata.normalize("NFD", "pässwörtchen")
    verified = await passwords.verify(bcrypt.using(rounds=4).hash(typed), typed)
    assert (verified.ok, verified.rehash_needed) == (True, True)


@pytest.mark.parametrize("length", [8, 64, 127, 128])
async def test_cr_2_8_to_128_characters_are_accepted_and_none_is_ignored(passwords, length):
    password = "x" * (length - 1) + "y"
    stored = await passwords.hash(password)
    assert (await passwords.verify(stored, password)).ok
    assert not (await passwords.verify(stored, password[:-1])).ok
    assert not (await passwords.verify(stored, password[:-1] + "z")).ok


@pytest.mark.parametrize(
    "password",
    ["", "short77", "x" * 129, "x" * 2**20, "🐎" * 257, "null\0byte", "lone \ud800 surrogate"],
    ids=["empty", "7", "129", "1MiB", "1028 octets", "NUL", "surrogate"],
)
async def test_cr_2_others_are_refused_before_anything_is_hashed(passwords, password):
    with pytest.raises(WeakPassword):
        await passwords.hash(password)
    assert _hashes_done(passwords) == 0


@pytest.mark.parametrize("password", ["x" * 129, "x" * 2**20, "a\0b", "\udfff"])
async def test_what_no_password_can_be_is_refused_before_it_is_compared(passwords, password):
    with pytest.raises(WeakPassword):
        await passwords.verify(None, password)
    assert _hashes_done(passwords) == 0


async def test_128_astral_characters_fit(passwords):
    stored = await passwords.hash("🐎" * 128)
    assert (await passwords.verify(stored, "🐎" * 128)).ok


async def test_a_hash_with_other_parameters_is_to_be_replaced(passwords):
    other = Passwords(PasswordsSettings(memory_kib=7168, time_cost=6), passwords.pool)
    verified = await passwords.verify(await other.hash("correct horse"), "correct horse")
    assert (verified.ok, verified.rehash_needed) == (True, True)


def _hashes_done(passwords) -> float:
    registry = passwords.pool.metrics.registry
    name = "keyturn_password_hash_duration_seconds_count"
    return registry.get_sample_value(name, {"algorithm": "argon2"})
