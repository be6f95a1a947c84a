"""The wire format, read and written by an oracle that shares no code with the codec."""

import base64
import re
import string
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import InvalidGrant
from keyturn.sessions.refresh_token import LAST_GENERATION, RefreshToken, RefreshTokenCodec
from support import rotation_oracle as oracle

OLD, NEW = b"o" * 32, b"n" * 32
CODEC = RefreshTokenCodec(MasterSecrets({7: NEW, 3: OLD}))
SESSION = UUID("01920000-0000-7000-8000-0000000000ff")
TOKEN = RefreshToken(7, SESSION, 41, b"s" * 32)
TEXT = CODEC.encode(TOKEN, "app")
ALPHABET = string.ascii_letters + string.digits + "-_"


def refusal(text: str, client_id: str = "app", codec: RefreshTokenCodec = CODEC) -> str:
    with pytest.raises(InvalidGrant) as caught:
        codec.decode(text, client_id)
    return caught.value.detail


def test_a_token_is_a_prefix_and_92_characters_of_base64url() -> None:
    assert re.fullmatch(r"krt1_[A-Za-z0-9_-]{92}", TEXT)
    assert len(TEXT) == 97


def test_the_fields_stand_in_the_documented_order() -> None:
    raw = base64.urlsafe_b64decode(TEXT.removeprefix("krt1_"))
    assert len(raw) == 1 + 16 + 4 + 32 + 16
    assert raw[0] == 7
    assert raw[1:17] == SESSION.bytes
    assert raw[17:21] == (41).to_bytes(4, "big")
    assert raw[21:53] == b"s" * 32


@given(
    key=st.sampled_from([(7, NEW), (3, OLD)]),
    session=st.binary(min_size=16, max_size=16),
    generation=st.integers(0, LAST_GENERATION - 2),
    secret=st.binary(min_size=32, max_size=32),
    client_id=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()),
)
def test_codec_and_oracle_write_and_read_the_same_tokens(
    key, session, generation, secret, client_id
) -> None:
    """Tag, child and hash come from two implementations: HKDF, HMAC and layout must all agree."""
    key_id, master = key
    token = RefreshToken(key_id, UUID(bytes=session), generation, secret)
    wire = oracle.Wire(key_id, session, generation, secret)
    text = CODEC.encode(token, client_id)
    assert text == oracle.sign(wire, client_id, master)
    assert CODEC.decode(text, client_id) == token
    assert token.hash == wire.hash
    assert CODEC.child(token).hash == wire.child(master).hash


def test_the_hash_covers_key_id_session_generation_and_secret() -> None:
    others = [
        replace(TOKEN, key_id=3),
        replace(TOKEN, session_id=UUID(int=1)),
        replace(TOKEN, generation=42),
        replace(TOKEN, secret=b"t" * 32),
    ]
    assert len({TOKEN.hash, *(other.hash for other in others)}) == 5


def test_a_parent_always_has_the_same_child() -> None:
    assert CODEC.child(TOKEN) == CODEC.child(CODEC.decode(TEXT, "app"))


def test_a_descendant_is_a_child_of_a_child() -> None:
    assert CODEC.descendant(TOKEN, 44) == CODEC.child(CODEC.child(CODEC.child(TOKEN)))
    assert CODEC.descendant(TOKEN, 41) == TOKEN


def test_a_child_keeps_the_key_id_its_session_was_born_with() -> None:
    """Key 7 makes new sessions; a session under 3 stays under 3 as long as it lives."""
    child = CODEC.child(RefreshToken(3, SESSION, 0, b"s" * 32))
    assert (child.key_id, child.session_id, child.generation) == (3, SESSION, 1)


def test_a_child_depends_on_the_master_secret_of_its_key_id() -> None:
    """Without the server's key nobody derives the next token from a stolen one."""
    other = RefreshTokenCodec(MasterSecrets({7: OLD}))
    assert other.child(TOKEN).secret != CODEC.child(TOKEN).secret


@pytest.mark.parametrize("at", range(69))
def test_changing_any_byte_makes_a_token_rubbish(at: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(TEXT[5:]))
    for flip in (0x01, 0x80):
        raw[at] ^= flip
        text = "krt1_" + base64.urlsafe_b64encode(raw).decode()
        expected = "refresh token: unknown key id" if at == 0 else "refresh token: bad tag"
        assert refusal(text) == expected
        raw[at] ^= flip


@given(at=st.integers(0, 91), character=st.sampled_from(ALPHABET))
def test_no_two_texts_are_the_same_token(at: int, character: str) -> None:
    """The encoding has one spelling for each token, so a text is as good as its bytes."""
    text = TEXT[: 5 + at] + character + TEXT[6 + at :]
    if text == TEXT:
        assert CODEC.decode(text, "app") == TOKEN
    else:
        refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "krt1_",
        TEXT[:-1],
        TEXT + "A",
        TEXT + "=",
        TEXT + "\n",
        " " + TEXT,
        TEXT.upper(),
        TEXT.replace("krt1_", "krt2_"),
        TEXT.removeprefix("krt1_"),
        TEXT[:50] + "+" + TEXT[51:],
        TEXT[:50] + "/" + TEXT[51:],
        TEXT[:50] + "=" + TEXT[51:],
        TEXT[:50] + "é" + TEXT[51:],
        TEXT[:50] + "\uff11" + TEXT[51:],
        TEXT[:50] + "\0" + TEXT[51:],
        TEXT[:-4] + "====",
        "krt1_" + "A" * 4096,
    ],
    ids=repr,
)
def test_anything_else_is_malformed(text: str) -> None:
    assert refusal(text) == "refresh token: malformed"


@given(text=st.text(max_size=120))
def test_rubbish_is_refused_and_never_an_error(text: str) -> None:
    refusal(text)


def test_another_clients_token_is_rubbish() -> None:
    assert refusal(TEXT, "app2") == "refresh token: bad tag"
    assert refusal(TEXT, "") == "refresh token: bad tag"


def test_a_token_under_a_secret_that_is_not_listed_is_rubbish() -> None:
    """A secret taken away after a leak signs its sessions out, its thief's forgeries included."""
    without = RefreshTokenCodec(MasterSecrets({3: OLD}))
    assert refusal(TEXT, codec=without) == "refresh token: unknown key id"


def test_the_key_id_chooses_the_secret_and_nothing_else_is_tried() -> None:
    """The same value under another id verifies nothing: ids are explicit."""
    renumbered = RefreshTokenCodec(MasterSecrets({3: NEW, 7: OLD}))
    assert refusal(TEXT, codec=renumbered) == "refresh token: bad tag"


def test_the_tag_key_is_not_the_derivation_key_nor_the_master_secret() -> None:
    wire = oracle.Wire(7, SESSION.bytes, 41, b"s" * 32)
    tags = {
        oracle.hmac.digest(key, b"krt1" + wire.body + b"app", "sha256")[:16]
        for key in (NEW, oracle.hkdf(NEW, oracle.DERIVE_LABEL))
    }
    raw = base64.urlsafe_b64decode(TEXT[5:])
    assert raw[53:] not in tags
    assert raw[53:] == oracle.tag_of(wire, "app", NEW)


@pytest.mark.parametrize("generation", [LAST_GENERATION - 1, LAST_GENERATION, 2**32 - 1])
def test_a_generation_beyond_the_rows_integer_is_refused_even_with_a_good_tag(generation) -> None:
    """Only a holder of the tag key can sign one; it must not become a failing statement."""
    forged = oracle.sign(oracle.Wire(7, SESSION.bytes, generation, b"s" * 32), "app", NEW)
    assert refusal(forged) == "refresh token: generation out of range"


def test_the_secret_never_shows() -> None:
    shown = repr(TOKEN) + str(TOKEN) + repr(CODEC) + f"{TOKEN!s}{CODEC.secrets}"
    for secret in (b"s" * 32, NEW, OLD):
        assert secret.decode() not in shown
        assert secret.hex() not in shown
    assert "41" in repr(TOKEN)
