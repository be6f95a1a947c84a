import json
from uuid import uuid4

import orjson
import pytest

from keyturn.session_api.messages import RefreshAnswer
from keyturn.session_api.openapi import describe

DOCUMENT = json.loads(orjson.dumps(describe("https://id.example")))
OPERATIONS = {
    described["operationId"]: described
    for path in DOCUMENT["paths"].values()
    for described in path.values()
}
SCHEMAS = DOCUMENT["components"]["schemas"]
BEARER, DPOP, COOKIE = {"bearer": []}, {"dpop": []}, {"cookie": []}
SENDS = set(OPERATIONS) - {"me", "sessions"}


def test_every_operation_has_a_name_that_a_program_can_use():
    assert len(OPERATIONS) == sum(map(len, DOCUMENT["paths"].values()))
    assert all(name.isidentifier() for name in OPERATIONS)


def test_a_body_is_demanded_where_something_in_it_is():
    demanding = {
        name for name, one in OPERATIONS.items() if one.get("requestBody", {}).get("required")
    }
    assert demanding == {"login", "reauthenticate", "password"}
    assert {name for name, one in OPERATIONS.items() if "requestBody" in one} == SENDS


def test_each_operation_says_how_it_is_proven():
    proofs = {name: one["security"] for name, one in OPERATIONS.items()}
    assert proofs.pop("login") == []
    assert proofs.pop("me") == [BEARER, DPOP]
    assert proofs.pop("sessions") == [BEARER, DPOP, COOKIE]
    assert list(proofs.values()) == [[COOKIE, {}]] * 6, "the cookie, or `refreshToken` in the body"
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert (schemes["cookie"]["in"], schemes["bearer"]["scheme"]) == ("cookie", "bearer")


def test_what_is_sent_slowly_may_be_refused_for_that():
    slow = {name for name, one in OPERATIONS.items() if "408" in one["responses"]}
    assert slow == SENDS


@pytest.mark.parametrize("token", ["krt1_x", None])
def test_answers_are_described_as_they_are_sent(token):
    answer = RefreshAnswer(
        access_token="x",
        token_type="DPoP",
        expires_in=1,
        session_id=uuid4(),
        refresh_token=token,
        refresh_expires_in=1,
    ).model_dump(mode="json", by_alias=True)
    schema = SCHEMAS["RefreshAnswer"]
    assert set(schema["required"]) == set(answer) - {"refreshToken"}
    assert schema["properties"]["refreshToken"]["type"] == "string"
    assert "default" not in schema["properties"]["refreshToken"]
