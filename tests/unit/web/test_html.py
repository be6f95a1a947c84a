"""Pages: what a policy allows, what a template may not leave out, what goes wrong without one."""

import hashlib
from base64 import b64encode

import jinja2
import pytest

from keyturn.authorization_errors import UnsafeRedirect
from keyturn.errors import Refusal, Throttled, Unavailable
from keyturn.web.html import Html, Sources, bare_error, form_source


def html(**templates):
    return Html(jinja2.DictLoader(templates), images=("https://cdn.example",))


def test_values_are_escaped_whatever_the_template_is_called():
    answer = html(page="<p>{{ said }}</p>").answer("page", {"said": "<svg onload=x>'\""})
    assert answer.body == b"<p>&lt;svg onload=x&gt;&#39;&#34;</p>"


def test_a_value_nobody_gave_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        html(page="{{ forgotten }}").answer("page", {})


def test_a_page_allows_what_it_needs_and_nothing_else():
    script = "go()"
    answer = html(page="x").answer(
        "page",
        {},
        status=403,
        sources=Sources(form_targets=("https://rp.example/cb?x=1",), script=script),
    )
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert answer.status_code == 403
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data: https://cdn.example;"
        f" script-src 'sha256-{digest}'; form-action 'self' https://rp.example;"
        " frame-ancestors 'none'; base-uri 'none'"
    )


@pytest.mark.parametrize(
    ("target", "source"),
    [
        ("https://rp.example/cb?x=1", "https://rp.example"),
        ("https://rp.example:8443/cb", "https://rp.example:8443"),
        ("http://127.0.0.1:51234/cb", "http://127.0.0.1:51234"),
        ("http://[::1]:51234/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app://cb/x", "com.example.app:"),
    ],
)
def test_a_form_may_lead_to_the_origin_of_its_target_and_no_further(target, source):
    assert form_source(target) == source


@pytest.mark.parametrize(
    ("refusal", "retry"),
    [
        (UnsafeRedirect("detail-hunter2"), None),
        (Refusal("detail-hunter2"), None),
        (Throttled("detail-hunter2", retry_after=7), "7"),
        (Unavailable("detail-hunter2", retry_after=0), "1"),
    ],
)
def test_what_goes_wrong_without_a_template_is_a_page_all_the_same(refusal, retry):
    answer = bare_error(refusal, "<id-1>")
    text = answer.body.decode()
    assert answer.status_code == refusal.status
    assert refusal.sentence in text
    assert "hunter2" not in text
    assert "&lt;id-1&gt;" in text
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers.get("retry-after") == retry
