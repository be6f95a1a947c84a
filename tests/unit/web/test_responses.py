import re

import orjson
import pytest
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from keyturn import errors
from keyturn.request_errors import InvalidMembers
from keyturn.web.responses import admin_error, json_answer, oauth_error, session_error

_ALLOWED = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]+")


def refusals(kind: type[errors.Refusal] = errors.Refusal) -> list[type[errors.Refusal]]:
    """Those of the page of refusals; other tests plant some of their own."""
    found = [kind]
    for one in kind.__subclasses__():
        found += refusals(one) if one.__module__ == errors.__name__ else []
    return found


ALL = refusals()


def make(kind: type[errors.Refusal]) -> errors.Refusal:
    extra = {
        "Throttled": {"retry_after": 7},
        "Unavailable": {"retry_after": 2},
        "InsufficientUserAuthentication": {"max_age": 300},
        "InsufficientScope": {"scope": "openid"},
    }
    return kind("detail-hunter2", **extra.get(kind.__name__, {}))


def test_there_are_refusals_to_check():
    assert len(ALL) > 20
    assert errors.HeadTooLarge in ALL


@pytest.mark.parametrize("kind", ALL)
def test_a_refusal_shows_its_constant_sentence_and_never_its_detail(kind):
    for answer in (oauth_error(make(kind)), session_error(make(kind), "id-1")):
        body = orjson.loads(answer.body)
        assert body["error"] == kind.code
        assert body["error_description"] == kind.sentence
        assert _ALLOWED.fullmatch(kind.code)
        assert _ALLOWED.fullmatch(kind.sentence)
        assert b"hunter2" not in answer.body
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        assert answer.headers["content-type"] == "application/json"


def test_the_session_api_adds_the_request_id():
    answer = session_error(errors.NotFound("x"), "id-1")
    assert orjson.loads(answer.body) == {
        "error": "not_found",
        "error_description": errors.NotFound.sentence,
        "requestId": "id-1",
    }


@pytest.mark.parametrize("kind", [one for one in ALL if one.status == 401])
def test_every_401_of_the_session_api_carries_a_challenge_and_never_basic(kind):
    assert session_error(make(kind), "id").headers["www-authenticate"].startswith("Bearer ")


def test_CA_1_a_failed_basic_authentication_is_answered_by_its_challenge():
    answer = oauth_error(errors.InvalidClient("x", basic_challenge=True))
    assert answer.headers["www-authenticate"] == 'Basic realm="keyturn", charset="UTF-8"'
    assert "www-authenticate" not in oauth_error(errors.InvalidClient("x")).headers


def test_a_bad_token_is_answered_by_the_challenge_of_RFC_6750():
    challenge = oauth_error(errors.InvalidToken("x")).headers["www-authenticate"]
    assert challenge.startswith(
        'Bearer realm="keyturn", error="invalid_token", error_description="'
    )


def test_an_old_sign_in_is_answered_by_the_challenge_of_RFC_9470():
    refusal = errors.InsufficientUserAuthentication("x", max_age=300)
    challenge = session_error(refusal, "id").headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert challenge.endswith('max_age="300"')


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (errors.Throttled("x", retry_after=7), "7"),
        (errors.Throttled("x", retry_after=0), "1"),
        (errors.Unavailable("x"), "1"),
    ],
)
def test_who_should_come_back_is_told_when(refusal, seconds):
    assert oauth_error(refusal).headers["retry-after"] == seconds
    assert session_error(refusal, "id").headers["retry-after"] == seconds


class Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    expires_in: int
    name: str | None


def test_messages_travel_under_their_names_on_the_wire():
    answer = json_answer(Answer(expires_in=5, name=None))
    assert orjson.loads(answer.body) == {"expiresIn": 5, "name": None}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", [one for one in ALL if one is not errors.InvalidClientMetadata])
def test_the_admin_api_answers_problem_details_without_the_private_detail(kind):
    refusal = make(kind)
    answer = admin_error(refusal, "id")
    said = orjson.loads(answer.body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (said["status"], said["code"], said["detail"]) == (
        answer.status_code,
        refusal.code,
        refusal.sentence,
    )
    assert "hunter2" not in answer.body.decode() + str(answer.headers)
    assert ("retry-after" in answer.headers) == (answer.status_code in {429, 503})
    assert said["errors"] == []


def test_problem_details_name_every_member_that_is_wrong():
    problems = (errors.Problem("scopes[1]", "one scope"), errors.Problem("", "as a whole"))
    for refusal in (
        errors.InvalidClientMetadata(*problems),
        InvalidMembers("x", *problems),
    ):
        said = orjson.loads(admin_error(refusal, "id").body)
        assert [(one["path"], one["problem"]) for one in said["errors"]] == [
            ("scopes[1]", "one scope"),
            ("", "as a whole"),
        ]
