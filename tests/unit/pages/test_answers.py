"""Ways back and ways on: only to what is registered, and nothing that was sent gets into a policy."""

import re
from dataclasses import replace

import pytest

from keyturn.clients.model import Client
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.hosted import Hosted
from keyturn.pages.answers import home_of
from keyturn.parts import Parts
from keyturn.web.request_notes import note_client
from support import asgi, replicas

LOGO = "https://cdn.example.com/logo.svg"


def client(*uris):
    return Client(
        id="web",
        name="Web",
        kind="public",
        grant_types=frozenset(),
        scopes=frozenset(),
        audiences=(),
        redirect_uris=frozenset(uris),
    )


@pytest.fixture(scope="module")
def answers():
    """The answers of a server with a logo; nothing connects."""
    environ = replicas.settings("postgresql:///nowhere", None, pages__logo_url=LOGO)
    return Hosted.of(Parts.of(load_settings(environ), SystemClock())).answers


def policy(answer):
    return answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("uris", "home"),
    [
        (["https://rp.example/cb"], "https://rp.example/"),
        (["https://rp.example/cb", "https://rp.example/other"], "https://rp.example/"),
        (["https://rp.example/cb", "https://two.example/cb"], None),
        (["http://localhost:3000/cb"], "http://localhost:3000/"),
        (["http://127.0.0.1/cb"], None),
        (["com.example.app:/cb"], None),
        (["com.example.app:/cb", "https://rp.example/cb"], "https://rp.example/"),
        ([], None),
    ],
)
def test_a_client_lives_where_its_answers_go_if_that_is_one_place(uris, home):
    assert home_of(client(*uris)) == home


def test_nobody_lives_nowhere():
    assert home_of(None) is None


def test_the_logo_is_shown_and_its_origin_allowed(answers):
    answer = answers.signed_out(asgi.request(method="GET", path="/logout"))
    assert f'<img src="{LOGO}" alt="keyturn">' in answer.body.decode()
    assert "img-src 'self' data: https://cdn.example.com;" in policy(answer)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("https://rp.example/bye?x=1", " https://rp.example"),
        ("https://rp.example:8443/bye", " https://rp.example:8443"),
        ("https://rp.example; script-src */", ""),
        ("https://rp.example' *@x/", ""),
        ("https://*/", ""),
        ("https://[x/", ""),
        ("https://rp.example@evil.example/", ""),
        ("https://rp.example:port/", ""),
        ("javascript:alert(1)", ""),
        ("https://", ""),
        ("", ""),
    ],
)
def test_where_a_sign_out_may_lead_cannot_bend_the_policy(answers, address, source):
    asked = asgi.request(method="GET", path="/oauth2/logout")
    answer = answers.confirm_logout(asked, {"post_logout_redirect_uri": address, "state": "<s>"})
    assert f"form-action 'self'{source};" in policy(answer)
    assert "script-src" not in policy(answer)
    text = answer.body.decode()
    assert 'name="state" value="&lt;s&gt;"' in text
    assert 'action="/oauth2/logout"' in text
    assert re.search(r'name="csrf" value="1\.[0-9a-f]{64}"', text)
    assert "kt_browser_" in answer.headers["set-cookie"]


def test_an_answer_that_posts_itself_goes_to_the_client_only(answers):
    asked = asgi.request(method="GET", path="/oauth2/authorize")
    answer = answers.posted(asked, "com.example.app:/cb", {"code": "c", "state": '"><script>'})
    assert "form-action 'self' com.example.app:;" in policy(answer)
    assert answer.body.count(b"<script>") == 1


def warned(answers, redirect_uri, link, **parameters):
    asked = asgi.request(method="GET", path="/oauth2/authorize")
    note_client(asked.scope, replace(client(redirect_uri), name="<b>Web</b>"))
    return answers.warned(asked, redirect_uri, link, parameters)


def test_AZ_8_a_warning_leads_on_by_a_link_and_by_no_form(answers):
    # Nothing goes on by itself: no redirect, no script, nothing that a policy would let pass.
    answer = warned(answers, "https://web.example/cb", "https://web.example/cb?error=x&state=y")
    text = answer.body.decode()
    assert answer.status_code == 400
    assert 'href="https://web.example/cb?error=x&amp;state=y"' in text
    assert "web.example" in text
    assert "&lt;b&gt;Web&lt;/b&gt;" in text
    assert "form-action 'self';" in policy(answer)
    assert "script-src" not in policy(answer)
    assert not {"location", "refresh"} & set(answer.headers)


def test_AZ_8_a_warning_of_a_form_posts_to_the_client_when_pressed(answers):
    answer = warned(answers, "com.example.app:/cb", None, error="x", state='"><script>')
    text = answer.body.decode()
    assert 'action="com.example.app:/cb"' in text
    assert "an app on this device" in text
    assert "<script" not in text
    assert "form-action 'self' com.example.app:;" in policy(answer)
    assert "script-src" not in policy(answer)
