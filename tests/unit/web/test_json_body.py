from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from keyturn.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from keyturn.session_api.messages import Text
from keyturn.web.body import BodyLimits
from keyturn.web.json_body import JsonBodies, parse_json
from support.asgi import request


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[Text, Field(max_length=6)] = "none"
    kept: bool | None = None


BODIES = JsonBodies(BodyLimits(size=100, seconds=0.05))
TYPE = ("Content-Type", "application/json")


async def test_a_body_becomes_its_model():
    body = b'{"name": "ada", "kept": true}'
    read = await BODIES.read(request(TYPE, body=(body,)), Body)
    assert (read.name, read.kept) == ("ada", True)


async def test_an_empty_body_is_an_empty_object():
    assert (await BODIES.read(request(TYPE), Body)).name == "none"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
async def test_WB_13_only_json_is_read_because_pages_elsewhere_cannot_send_it_unasked(kind):
    with pytest.raises(UnsupportedMediaType):
        await BODIES.read(request(("Content-Type", kind), body=(b"{}",)), Body)


async def test_WB_13_a_post_without_a_content_type_is_refused_even_when_empty():
    with pytest.raises(UnsupportedMediaType):
        await BODIES.read(request(), Body)


async def test_a_delete_without_a_body_needs_no_content_type():
    assert (await BODIES.read(request(method="DELETE"), Body)).name == "none"
    with pytest.raises(UnsupportedMediaType):
        await BODIES.read(request(method="DELETE", body=(b"{}",)), Body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a", "name": "b"}',
        b'{"kept": {"a": [], "a": []}}',
        b"[]",
        b"null",
        b"{",
        b'{"name": NaN}',
        b"\xff",
        b'{"name": 1e400}',
        b'{"kept": ' + b"9" * 5000 + b"}",
        b'{"kept": 1}',
        b"[" * 100_000,
    ],
)
def test_what_has_no_single_meaning_is_refused(body):
    with pytest.raises(InvalidRequest):
        parse_json(body, Body)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"name": "a\u0000"}',
        rb'{"name": "\u0000\n"}',
        rb'{"\u0000": "a"}',
        rb'{"name": "\ud800"}',
        rb'{"\ud800": "a"}',
    ],
)
def test_DS_6_what_the_database_cannot_store_is_refused(body):
    with pytest.raises(InvalidRequest):
        parse_json(body, Body)


def test_a_backslash_before_u0000_is_only_text():
    assert parse_json(rb'{"name": "\\u0000"}', Body).name == "\\u0000"


def test_a_refusal_names_the_member_and_never_its_value():
    with pytest.raises(InvalidRequest) as refused:
        parse_json(b'{"name": "hunter2-hunter2", "hunter3": 1}', Body)
    assert "name: string_too_long" in refused.value.detail
    assert "an unknown member" in refused.value.detail
    assert "hunter" not in refused.value.detail


async def test_a_large_body_is_refused():
    with pytest.raises(PayloadTooLarge):
        await BODIES.read(request(TYPE, body=(b'{"name": "' + b"a" * 200,)), Body)
