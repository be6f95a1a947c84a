"""What one list says, bit by bit, and when it must be signed anew."""

import base64
import gzip
import zlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from keyturn.crypto import jose
from keyturn.revocation.record import Horizon
from keyturn.settings import LONGEST_ACCESS_TOKEN
from keyturn.status_lists import document, index
from keyturn.status_lists.bits import MINUTE, Bits
from keyturn.status_lists.index import SIZE
from keyturn.status_lists.known import LEAD, Known, Revoked
from support import status_lists
from support.keys import private_key

ISSUER = "https://id.example"
SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND

# Token Status List, appendix C.1: 2^20 places, of which these are 1.
VECTOR = (0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345)
ENCODED = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA"
    "7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)


def of(places, expires_at=NOW + 3600 * SECOND):
    bits = Bits()
    for place in places:
        bits.add(place, expires_at)
    return bits


@pytest.fixture(scope="module")
def key():
    private = private_key()
    return jose.SigningKey.from_der(jose.to_der(private), jose.thumbprint(private))


def signed(key, bits, now=NOW, number=0):
    claims = document.claims_of(ISSUER, index.uri(ISSUER, number), 10, document.expiry(now))
    return document.make(key, claims, now, bits.writer())


# -- the bits (section 4.1) -----------------------------------------------------------------------


def test_the_vector_of_the_standard_is_the_same_bits(key):
    theirs = zlib.decompress(status_lists.unpadded(ENCODED))
    assert of(VECTOR).writer()() == theirs
    assert status_lists.bitmap(signed(key, of(VECTOR)).body.decode()) == theirs


def test_the_bits_of_a_byte_are_counted_from_the_least_significant_one():
    example = of([0, 3, 4, 5, 7, 8, 9, 13, 15]).writer()()
    assert example[:2] == bytes([0xB9, 0xA3])
    packed = zlib.compress(example[:2], document.BEST)
    assert base64.urlsafe_b64encode(packed).rstrip(b"=") == b"eNrbuRgAAhcBXQ"


def test_an_empty_list_is_as_large_as_a_full_one():
    assert of([]).writer()() == bytes(SIZE // 8)
    assert of([SIZE - 1]).writer()()[-1] == 0x80


@given(st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 5)), max_size=40))
def test_a_bit_is_set_until_the_last_revocation_of_its_place_is_over(revoked):
    bits = Bits()
    for place, minute in revoked:
        bits.add(place, minute * MINUTE)
    for now in (0, 2, 5):
        before, said = bits.changes, bits.writer()()
        bits.forget(now * MINUTE)
        left = {place for place, minute in revoked if minute > now}
        found = bits.writer()()
        assert all(found[place >> 3] >> (place & 7) & 1 for place in left)
        assert sum(map(int.bit_count, found)) == len(left)
        assert (bits.changes == before) <= (said == found), "a change that nobody would sign"


# -- where a token's status is (section 6.2) ------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "uri", "place"),
    [
        (0, "/oauth2/status/0", 0),
        (SIZE - 1, "/oauth2/status/0", SIZE - 1),
        (SIZE, "/oauth2/status/1", 0),
        (3 * SIZE + 17, "/oauth2/status/3", 17),
    ],
)
def test_a_token_names_its_list_and_its_place_there(number, uri, place):
    named = index.reference(ISSUER, number)
    assert named == {"status_list": {"idx": place, "uri": ISSUER + uri}}


@pytest.mark.parametrize("text", ["", "-1", "01", "+1", "1.0", "1e3", "٣", "x", "9" * 13])
def test_a_list_has_one_spelling(text):
    assert index.number_of(text) is None
    assert index.number_of("0") == 0
    assert index.number_of("102") == 102


def test_a_list_begins_before_the_first_token_that_names_it():
    known = Known(Horizon(NOW, NOW), SIZE - LEAD - 1)
    assert known.has_begun(0)
    assert not known.has_begun(1)
    known.advance(known.horizon, SIZE - LEAD, NOW)
    assert known.has_begun(1)
    assert not known.has_begun(2)


# -- what a process knows -------------------------------------------------------------------------


def test_what_is_met_again_is_one_revocation_and_signs_nothing_anew():
    known = Known(Horizon(0, 0), 0)
    one = Revoked(SIZE + 5, NOW, NOW + 3600 * SECOND)
    known.add([one])
    known.advance(Horizon(NOW, NOW), 9, NOW - 5 * SECOND)
    changes = known.bits(1).changes
    known.add([one])
    assert (len(known), known.bits(1).changes) == (1, changes)
    assert known.bits(0).changes == 0


def test_a_session_that_is_revoked_again_later_is_revoked_for_longer():
    known = Known(Horizon(0, 0), 0)
    for at in (NOW, NOW + 3600 * SECOND):
        known.add([Revoked(5, at, at + 3900 * SECOND)])
    known.advance(Horizon(NOW + 4000 * SECOND, 0), 9, NOW)
    assert known.bits(0).writer()()[0] == 1 << 5


# -- the document (section 5.1) -------------------------------------------------------------------


def test_a_list_is_a_jwt_of_its_own_type_about_itself(key):
    made = signed(key, of([1]), number=7)
    assert status_lists.part(made.body.decode(), 0) == {
        "alg": "RS256",
        "typ": "statuslist+jwt",
        "kid": key.kid,
    }
    said = status_lists.part(made.body.decode())
    assert set(said.pop("status_list")) == {"bits", "lst"}
    assert said == {
        "iss": ISSUER,
        "sub": f"{ISSUER}/oauth2/status/7",
        "iat": NOW // SECOND,
        "exp": made.expires_at,
        "ttl": 10,
    }
    assert gzip.decompress(made.gzipped) == made.body


@given(st.integers(0, 2**52))
def test_a_list_that_not_modified_confirms_is_good_for_an_hour_and_no_more_than_ten_minutes_longer(
    now,
):
    left = document.expiry(now) - now / SECOND
    assert LONGEST_ACCESS_TOKEN < left <= LONGEST_ACCESS_TOKEN + document.STEP


def test_the_tag_is_the_same_on_every_replica_and_another_for_every_other_list(key):
    made = signed(key, of([1]))
    later = signed(key, of([1]), NOW + 3 * SECOND)
    assert made.body != later.body
    assert made.etag == later.etag
    assert made.etag.startswith('W/"')
    others = [
        signed(key, of([2])),
        signed(key, of([1]), number=1),
        signed(key, of([1]), NOW + document.STEP * SECOND),
    ]
    assert len({made.etag, *(one.etag for one in others)}) == 4
