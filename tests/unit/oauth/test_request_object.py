"""What a request object may say, and how its members become parameters."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.crypto.jose import InvalidJws
from keyturn.oauth.authorize.request_object import (
    CLAIMS,
    LONGEST_LIFE,
    check_times,
    check_type,
    parameters_of,
)

NOW, SKEW = 1_700_000_000.0, 60.0
TEXTS = st.text('aZ \n\0\x7f"\\\u00fc\ud800\U0001f511', max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(["state", "scope", "resource", "claims", "max_age", "prompt", "iss", "exp"])


@pytest.mark.parametrize(
    ("times", "good"),
    [
        ({"exp": NOW + 1}, True),
        ({"exp": NOW + LONGEST_LIFE}, True),
        ({"exp": NOW}, False),
        ({"exp": NOW + LONGEST_LIFE + SKEW + 1}, False),
        ({"exp": math.inf}, False),
        ({"exp": None}, False),
        ({"exp": NOW + 60, "nbf": NOW + SKEW}, True),
        ({"exp": NOW + 60, "nbf": NOW + SKEW + 1}, False),
        ({"exp": NOW + 60, "nbf": NOW - LONGEST_LIFE}, True),
        ({"exp": NOW + 60, "nbf": NOW - LONGEST_LIFE - SKEW - 1}, False),
        ({"exp": NOW + 60, "nbf": None}, False),
        ({"exp": 10**400}, False),
        ({}, False),
    ],
)
def test_an_object_is_good_now_and_not_for_long(times, good):
    if good:
        check_times(times, NOW, SKEW)
    else:
        with pytest.raises(InvalidJws):
            check_times(times, NOW, SKEW)


@pytest.mark.parametrize("typ", ["JWT", "oauth-authz-req+jwt", "OAUTH-AUTHZ-REQ+JWT", "jwt"])
def test_a_type_is_that_of_a_request_or_says_nothing(typ):
    check_type({"typ": typ})
    check_type({})
    for other in (f"{typ}2", f"x{typ}", "at+jwt", "", None, 1, [typ], {}):
        with pytest.raises(InvalidJws):
            check_type({"typ": other})


def test_members_become_parameters_as_a_form_would_bring_them():
    claims = {"id_token": {"email": None}}
    sent = {
        **dict.fromkeys(CLAIMS, "about the object"),
        "state": "s",
        "nonce": "",
        "max_age": 60,
        "resource": ["https://a.example", "", "https://b.example"],
        "claims": claims,
    }
    made = parameters_of(sent)
    assert json.loads(made.pop("claims")) == claims
    assert made == {
        "state": "s",
        "max_age": "60",
        "resource": "https://a.example\nhttps://b.example",
    }
    assert parameters_of({"resource": "https://a.example"}) == {"resource": "https://a.example"}
    assert parameters_of({"resource": []}) == {}


@given(st.dictionaries(NAMES | TEXTS, JSON, max_size=4))
def test_every_parameter_can_be_stored_and_nothing_that_was_asked_is_passed_over(claims):
    try:
        made = parameters_of(claims)
    except InvalidJws:
        return
    for name, text in made.items():
        assert text.encode().decode() == text
        assert not any(ord(one) < 32 or ord(one) == 127 for one in text.replace("\n", ""))
        assert "\n" not in text or name == "resource"
    kept = {name for name, value in claims.items() if name not in CLAIMS and value not in ("", [])}
    assert kept - made.keys() <= {"resource"}


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\x7f", "\ud800", "a\udfff"])
@pytest.mark.parametrize("name", ["state", "resource", "anything"])
def test_what_no_form_could_bring_is_refused(name, text):
    with pytest.raises(InvalidJws):
        parameters_of({name: text})
    with pytest.raises(InvalidJws):
        parameters_of({"resource": [text]})


def test_what_is_nested_too_deeply_is_refused():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidJws):
        parameters_of({"claims": deep})
