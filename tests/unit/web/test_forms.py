import asyncio

import pytest
from starlette.requests import ClientDisconnect

from keyturn.errors import InvalidRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType
from keyturn.web.body import BodyLimits
from keyturn.web.forms import MOST_FIELDS, Forms, parse_form
from support.asgi import request

FORMS = Forms(BodyLimits(size=100, seconds=0.05))
TYPE = ("Content-Type", "application/x-www-form-urlencoded")


async def test_a_form_is_read_whole_however_it_arrives():
    for body in ((b"a=1&b=%C3%A9+x",), (b"a=1&b=", b"%C3", b"%A9+x")):
        assert await FORMS.read(request(TYPE, body=body)) == {"a": "1", "b": "é x"}


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded; charset=UTF-8",
        'Application/X-WWW-Form-Urlencoded;charset="utf-8"',
    ],
)
async def test_a_content_type_may_name_utf_8(kind):
    assert await FORMS.read(request(("Content-Type", kind), body=(b"a=1",))) == {"a": "1"}


async def test_another_charset_is_refused():
    kind = "application/x-www-form-urlencoded; charset=iso-8859-1"
    with pytest.raises(UnsupportedMediaType):
        await FORMS.read(request(("Content-Type", kind), body=(b"a=1",)))


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""]
)
async def test_TK_1_another_content_type_is_refused_like_another_charset(kind):
    with pytest.raises(UnsupportedMediaType, match="not a form"):
        await FORMS.read(request(("Content-Type", kind), body=(b"a=1",)))


async def test_TK_1_no_content_type_is_refused_and_two_of_them_are():
    with pytest.raises(UnsupportedMediaType, match="not a form"):
        await FORMS.read(request(body=(b"a=1",)))
    with pytest.raises(InvalidRequest, match="repeated"):
        await FORMS.read(request(TYPE, TYPE, body=(b"a=1",)))


@pytest.mark.parametrize("name", ["client_secret", "refresh_token", "client_id", "client%5Fsecret"])
async def test_TK_2_a_credential_in_the_query_is_invalid_request(name):
    with pytest.raises(InvalidRequest, match="query"):
        await FORMS.read(request(TYPE, body=(b"a=1",), query=f"x=1&{name}=y".encode()))


async def test_an_unknown_query_parameter_is_ignored():
    assert await FORMS.read(request(TYPE, body=(b"a=1",), query=b"utm=x")) == {"a": "1"}


@pytest.mark.parametrize("text", [b"a=1&a=1", b"a=1&a=", b"a=&a=", b"a=1&b=2&%61=3"])
def test_TK_3_a_repeated_parameter_is_refused(text):
    with pytest.raises(InvalidRequest, match="repeated"):
        parse_form(text)


def test_TK_3_an_empty_value_counts_as_left_out():
    assert parse_form(b"a=&b&c=1&&resource=") == {"c": "1"}


def test_TK_3_resource_and_audience_alone_may_be_repeated_one_a_line():
    """RFC 8707 section 2; a value has no line ends of its own, they are refused."""
    form = parse_form(b"resource=urn:a&a=1&resource=&resource=urn:b+c&audience=x&audience=y")
    assert form == {"resource": "urn:a\nurn:b c", "a": "1", "audience": "x\ny"}
    with pytest.raises(InvalidRequest, match="control"):
        parse_form(b"resource=urn:a%0aurn:b")


@pytest.mark.parametrize("text", [b"a=%", b"a=%4", b"a=%zz", b"%g1=1", b"a=100%&b=1"])
def test_a_broken_escape_is_refused(text):
    with pytest.raises(InvalidRequest, match="escape"):
        parse_form(text)


@pytest.mark.parametrize("text", [b"a=%ff", b"a=\xff", b"a=%ed%a0%80", b"a=%c0%80"])
def test_what_is_not_utf_8_is_refused(text):
    """Lone surrogates and overlong forms, too."""
    with pytest.raises(InvalidRequest, match="UTF-8"):
        parse_form(text)


@pytest.mark.parametrize("text", [b"a=%00", b"a%00=1", b"a=%0d%0a", b"a=x%1fy", b"a=%7f", b"a=\n"])
def test_control_characters_are_refused(text):
    with pytest.raises(InvalidRequest, match="control"):
        parse_form(text)


def test_DS_2_more_fields_than_the_limit_are_refused():
    fields = [f"f{number}=1" for number in range(MOST_FIELDS + 1)]
    assert len(parse_form("&".join(fields[:-1]).encode())) == MOST_FIELDS
    with pytest.raises(InvalidRequest, match="too many"):
        parse_form("&".join(fields).encode())


async def test_DS_1_a_body_over_the_limit_is_refused_before_it_is_read():
    big = request(TYPE, ("Content-Length", "101"), body=(b"never read",))
    with pytest.raises(PayloadTooLarge, match="announced"):
        await FORMS.read(big)


async def test_DS_1_a_body_that_grows_over_the_limit_is_refused():
    with pytest.raises(PayloadTooLarge, match="larger"):
        await FORMS.read(request(TYPE, body=(b"a" * 60, b"a" * 60, b"a" * 60)))


async def test_DS_1_a_body_that_does_not_arrive_times_out():
    stuck = request(TYPE)
    stuck._receive = asyncio.Event().wait
    with pytest.raises(RequestTimeout):
        await FORMS.read(stuck)


async def test_a_caller_who_hangs_up_is_not_our_failure():
    with pytest.raises(ClientDisconnect):
        await FORMS.read(request(TYPE, body=()))


@pytest.mark.parametrize("length", ["-1", "+3", "1.0", "", "٣"])
async def test_a_length_that_is_no_number_is_refused(length):
    with pytest.raises(InvalidRequest, match="content-length"):
        await FORMS.read(request(TYPE, ("Content-Length", length), body=(b"a=1",)))
