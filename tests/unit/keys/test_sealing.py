"""Private halves at rest."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn.crypto import jose
from keyturn.crypto.secrets import (
    KEY_SEALING,
    REFRESH_DERIVE,
    REFRESH_TAG,
    THROTTLE,
    MasterSecrets,
)
from keyturn.keys.model import State
from keyturn.keys.sealing import Unsealable, opens, seal, unseal
from support.keys import BOTH, FIRST, SECOND, private_key, stored_key

KEY = stored_key(State.SIGNING, datetime(2026, 3, 1, tzinfo=UTC))


def test_a_sealed_key_opens_under_its_secret():
    assert unseal(KEY, FIRST) == jose.to_der(private_key())


def test_a_seal_names_its_secret_and_opens_while_that_is_listed():
    assert KEY.secret_id == 1
    assert opens(KEY, BOTH)


def test_a_key_whose_secret_is_no_longer_listed_does_not_open():
    with pytest.raises(Unsealable, match="secret 1, which is not listed"):
        unseal(KEY, SECOND)
    assert not opens(KEY, SECOND)


def test_another_secret_under_the_same_id_does_not_open():
    impostor = MasterSecrets({1: b"x" * 32})
    with pytest.raises(Unsealable, match="does not open"):
        unseal(KEY, impostor)


def test_a_seal_moved_to_another_row_does_not_open():
    other = stored_key(State.NEXT, KEY.since, number=1)
    with pytest.raises(Unsealable, match="does not open"):
        unseal(replace(other, sealed=KEY.sealed), FIRST)


@pytest.mark.parametrize("at", [1, 12, 13, 500, -1])
def test_one_changed_byte_and_the_seal_does_not_open(at):
    changed = bytearray(KEY.sealed)
    changed[at] ^= 1
    with pytest.raises(Unsealable, match="does not open"):
        unseal(replace(KEY, sealed=bytes(changed)), FIRST)


def test_a_retired_key_has_nothing_to_open():
    with pytest.raises(Unsealable, match="no private half"):
        unseal(stored_key(State.RETIRED, KEY.since), FIRST)


def test_two_seals_of_one_key_differ():
    der = jose.to_der(private_key())
    assert seal(der, KEY.kid, FIRST) != seal(der, KEY.kid, FIRST)


@pytest.mark.parametrize("label", [REFRESH_TAG, REFRESH_DERIVE, THROTTLE])
def test_KY_7_no_other_purposes_key_opens_a_seal(label):
    """A value made for one purpose is rubbish to every other."""
    nonce, ciphertext = KEY.sealed[1:13], KEY.sealed[13:]
    own = AESGCM(FIRST.purpose_key(KEY_SEALING))
    assert own.decrypt(nonce, ciphertext, KEY.kid.encode()) == jose.to_der(private_key())
    with pytest.raises(InvalidTag):
        AESGCM(FIRST.purpose_key(label)).decrypt(nonce, ciphertext, KEY.kid.encode())


def test_no_representation_shows_key_material():
    assert "sealed=" not in repr(KEY)
    assert repr(KEY.sealed) not in repr(KEY)
