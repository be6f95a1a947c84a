"""The hosted pages over HTTP, as browsers without scripts meet them: rows WB of the promises."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx2
import pytest

from keyturn.applications import public_app
from keyturn.authorizations.sealed import Sealed, seal
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.parts import Parts
from keyturn.telemetry.logs import stderr_writer
from support import replicas
from support.api import FOREIGN_ORIGIN, set_cookies
from support.signed_in import REQUEST
from support.visitor import (
    CALLBACK,
    OWN_FORM,
    WEB,
    Visitor,
    authorization,
    form_of,
    location,
    read,
)

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:;"
    " form-action 'self'{targets}; frame-ancestors 'none'; base-uri 'none'"
)
HOSTILE = "\"'><svg onload=alert(1)>{{73170*10007}}"
FOREIGN_FORMS = [
    {"origin": FOREIGN_ORIGIN},
    {"origin": "null"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": FOREIGN_ORIGIN, "sec-fetch-site": "same-origin"},
]


@pytest.fixture(scope="module")
async def client(api):
    """A third party's web app, which asks for consent."""
    return await api.client(WEB)


@pytest.fixture(scope="module")
async def trusted(api):
    """One of the house's own, which does not."""
    return await api.client(WEB, skip_consent=True)


@pytest.fixture
async def person(api):
    return await api.person()


@pytest.fixture
def visitor(api):
    return Visitor(api)


def is_page(answer, targets=""):
    """Check every header of WB-5, and that nothing on the page is from elsewhere."""
    headers = answer.headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"] == POLICY.format(targets=targets)
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert not re.search(r"<script|<style|\son[a-z]+=|javascript:", answer.text)
    foreign = re.findall(r'(?:src|href)="(?!/|data:|#)([^"]*)"', answer.text)
    assert [one for one in foreign if one != "https://rp.example.com/"] == []
    return True


# -- WB-1, WB-2, WB-3: whose browser this is -----------------------------------------------------


async def test_WB_1_the_login_cookie_is_for_this_host_only_and_ends_with_the_browser(
    api, trusted, visitor, person
):
    form = form_of(await visitor.ask(trusted), "login")
    answer = await visitor.once(
        "POST",
        form.action,
        {**form.fields, "email": person.email, "password": person.password},
        OWN_FORM,
    )
    assert answer.status_code == 303
    ((name, value, attributes),) = set_cookies(answer)
    assert re.fullmatch(r"__Host-kt_login_[0-9a-f]{8}", name)
    assert attributes == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    assert len(value) >= 43
    row = await api.sql.fetchrow("select * from logins where user_id = $1", person.id)
    assert value.encode() not in repr(dict(row)).encode()


async def test_WB_1_who_wants_to_be_remembered_gets_a_cookie_for_thirty_days(
    trusted, visitor, person
):
    form = form_of(await visitor.ask(trusted), "login")
    typed = {"email": person.email, "password": person.password, "remember": "yes"}
    answer = await visitor.once("POST", form.action, {**form.fields, **typed}, OWN_FORM)
    ((_, _, attributes),) = set_cookies(answer)
    (age,) = [one for one in attributes if one.startswith("Max-Age=")]
    assert 0 <= 30 * 86400 - int(age.removeprefix("Max-Age=")) <= 5


async def test_WB_2_a_planted_cookie_is_never_adopted_and_every_proof_changes_it(
    trusted, visitor, person
):
    page = await visitor.ask(trusted)
    name = next(one for one in visitor.jar if "browser" in one).replace("browser", "login")
    planted = visitor.jar[name] = "planted-by-somebody-else-0123456789abcdefghi"
    assert (await visitor.sign_in(page, person)).headers["location"].startswith(CALLBACK)
    first = visitor.cookie("login")
    assert first not in {None, planted}
    again = await visitor.sign_in(await visitor.ask(trusted, prompt="login"), person)
    assert "code" in location(again)
    assert visitor.cookie("login") not in {None, planted, first}
    stale = Visitor(visitor.api, jar={**visitor.jar, name: first})
    assert form_of(await stale.ask(trusted), "login")


async def test_WB_2_a_sign_in_begun_in_one_browser_cannot_be_finished_in_another(
    trusted, visitor, person
):
    page = await visitor.ask(trusted)
    other = Visitor(visitor.api)
    await other.ask(trusted)
    refused = await other.sign_in(page, person)
    assert refused.status_code == 403
    assert other.cookie("login") is None
    opened = await other.get(str(page.url))
    assert opened.status_code == 400
    assert read(opened).forms == []


async def test_WB_3_a_handle_is_random_and_one_that_was_never_given_is_a_page_not_an_error(
    trusted, visitor
):
    handles = set()
    for _ in range(3):
        handles.add(form_of(await visitor.ask(trusted), "login").fields["request"])
    assert len(handles) == 3
    assert all(len(one) >= 43 for one in handles)
    for forged in ("1", "0" * 43, "x" * 5000, "../../etc", next(iter(handles))[:-1]):
        answer = await visitor.get("/login?" + urlencode({"request": forged}))
        assert answer.status_code == 400
        assert is_page(answer)
        assert "Go back to the application" in answer.text


# -- WB-4: who sent this form --------------------------------------------------------------------


@pytest.mark.parametrize("headers", FOREIGN_FORMS)
async def test_WB_4_a_form_of_another_origin_is_refused_by_what_the_browser_says(
    trusted, visitor, person, headers
):
    form = form_of(await visitor.ask(trusted), "login")
    typed = {"email": person.email, "password": person.password}
    answer = await visitor.submit(form, headers, **typed)
    assert answer.status_code == 403
    assert visitor.cookie("login") is None
    assert is_page(answer)


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://localhost:8443"}, {"sec-fetch-site": "same-origin"}]
)
async def test_WB_4_a_form_of_ours_is_taken_from_browsers_old_and_new(
    trusted, visitor, person, headers
):
    form = form_of(await visitor.ask(trusted), "login")
    typed = {"email": person.email, "password": person.password}
    answer = await visitor.submit(form, headers, **typed)
    assert "code" in location(answer)


@pytest.mark.parametrize("change", ["dropped", "altered", "of another form", "of another request"])
async def test_WB_4_the_token_of_a_form_fits_that_form_that_request_and_that_browser(
    client, visitor, person, change
):
    page = await visitor.sign_in(await visitor.ask(client), person)
    form = form_of(page, "consent")
    other = form_of(await visitor.ask(client, prompt="login"), "login")
    token = form.fields.pop("csrf")
    if change == "altered":
        form.fields["csrf"] = token[:-1] + ("0" if token[-1] != "0" else "1")
    elif change == "of another form":
        form.fields |= {"csrf": other.fields["csrf"], "request": other.fields["request"]}
    elif change == "of another request":
        form.fields["csrf"] = other.fields["csrf"]
    answer = await visitor.submit(form, decision="allow")
    assert answer.status_code == 403
    assert is_page(answer)
    assert form_of(await visitor.get(str(page.url)), "consent"), "nothing was decided"


async def test_WB_4_signing_out_needs_a_token_too(trusted, visitor, person):
    await visitor.sign_in(await visitor.ask(trusted), person)
    form = form_of(await visitor.get("/logout"), "logout")
    token = form.fields["csrf"]
    form.fields["csrf"] = "1." + "0" * 64
    assert (await visitor.submit(form)).status_code == 403
    assert visitor.cookie("login")
    form.fields["csrf"] = token
    answer = await visitor.submit(form)
    assert "You are signed out" in answer.text
    assert visitor.cookie("login") is None
    assert form_of(await visitor.ask(trusted), "login")


# -- WB-5, WB-12: what a page may do -------------------------------------------------------------


async def test_WB_5_WB_12_every_page_carries_every_header(client, visitor, person):
    leads = " https://rp.example.com"
    page = await visitor.ask(client)
    assert is_page(page, leads)
    assert is_page(await visitor.sign_in(page, person, password="wrong password"), leads)
    question = await visitor.sign_in(page, person)
    assert is_page(question, leads)
    assert is_page(await visitor.get("/logout"))
    assert is_page(await Visitor(visitor.api).get("/logout"))
    assert is_page(await visitor.get("/login"))
    assert is_page(await visitor.get("/account"))
    assert is_page(await Visitor(visitor.api).get("/account"))
    assert is_page(await visitor.once("POST", "/account", {"do": "end-all"}, OWN_FORM))
    assert is_page(await visitor.get("/consent?request=none"))
    assert is_page(await visitor.get("/oauth2/authorize?client_id=nobody"))
    assert is_page(await visitor.get("/oauth2/authorize/resume?request=none"))
    refused = await visitor.once("PUT", "/login")
    assert is_page(refused)
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert is_page(await visitor.once("POST", "/login", {"request": "\x00"}))


async def test_WB_5_the_style_sheet_is_kept_by_its_name_and_another_replicas_is_not(
    client, visitor
):
    sheet = read(await visitor.ask(client))
    (address,) = [a["href"] for _, a in sheet.elements if a.get("rel") == "stylesheet"]
    answer = await visitor.get(address)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    other = await visitor.get("/static/pages.0123456789abcdef.css")
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-store")
    for name in ("pages.css", "x", "pages.0123456789abcdef.css.map", "%2e%2e%2fpages.css"):
        assert (await visitor.get(f"/static/{name}")).status_code == 404


async def test_WB_5_an_answer_by_form_runs_its_one_script_and_has_a_button(
    trusted, visitor, person
):
    page = await visitor.ask(trusted, response_mode="form_post", state=HOSTILE)
    answer = await visitor.sign_in(page, person)
    form = form_of(answer, "answer")
    assert form.action == CALLBACK
    assert form.fields["state"] == HOSTILE
    assert {"code", "state", "iss"} == set(form.fields)
    assert "continue" in form.controls
    policy = answer.headers["content-security-policy"]
    assert "form-action 'self' https://rp.example.com;" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy)
    assert "<svg" not in answer.text


# -- WB-6, WB-7: nothing that was sent becomes part of a page, or an address ----------------------


async def test_WB_6_what_was_sent_is_shown_escaped_or_not_at_all(api, visitor, person):
    client = await api.client(WEB, name='<b>Bold & "Co"</b> {{73170*10007}}')
    page = await visitor.ask(client, login_hint=HOSTILE, state=HOSTILE, ui_locales=HOSTILE)
    assert form_of(page, "login").controls["email"]["value"] == HOSTILE
    wrong = await visitor.sign_in(page, person, password=HOSTILE, email=HOSTILE, lang=HOSTILE)
    question = await visitor.sign_in(page, person)
    error = await visitor.get(
        "/oauth2/authorize?"
        + urlencode({"client_id": HOSTILE, "redirect_uri": HOSTILE, "error": HOSTILE})
    )
    over = await visitor.get("/login?" + urlencode({"request": HOSTILE, "client": HOSTILE}))
    for answer in (page, wrong, question, error, over):
        assert "<svg" not in answer.text
        assert "<b>Bold" not in answer.text
        assert "732212190" not in answer.text
    assert HOSTILE not in read(error).text
    assert HOSTILE not in read(over).text


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example.net",
        "//evil.example.net",
        "/\\evil.example.net",
        "\\\\evil.example.net",
        "https:evil.example.net",
        "javascript:alert(1)",
        "data:text/html,x",
        "/account",
    ],
)
async def test_WB_7_no_parameter_leads_a_page_anywhere_else(trusted, visitor, person, address):
    page = await visitor.ask(trusted)
    names = ("next", "return_to", "redirect", "url", "redirect_uri", "continue")
    leading = dict.fromkeys(names, address)
    shown = await visitor.get(f"{page.url}&{urlencode(leading)}")
    form = form_of(shown, "login")
    assert form.action == "/login"
    answer = await visitor.sign_in(shown, person, **leading)
    assert answer.headers["location"].startswith(CALLBACK + "?")


@pytest.mark.parametrize("address", ["/\t/evil.example.net", "/\n/evil.example.net", "/\x00evil"])
async def test_WB_7_a_control_character_is_refused_wherever_it_stands(trusted, visitor, address):
    page = await visitor.ask(trusted)
    answer = await visitor.get(f"{page.url}&{urlencode({'next': address})}")
    assert answer.status_code == 400
    assert is_page(answer)


# -- WB-10: what an application may do -------------------------------------------------------------


async def test_WB_10_consent_is_asked_once_and_again_when_more_is_wanted(
    api, client, visitor, person
):
    page = await visitor.sign_in(await visitor.ask(client, scope="openid"), person)
    assert "Orders & Co" in read(page).text
    assert ">new<" not in page.text, "everything is new"
    answer = await visitor.submit(form_of(page, "consent"), decision="allow")
    assert "code" in location(answer)
    assert "code" in location(await visitor.ask(client, scope="openid"))
    more = await visitor.ask(client, scope="openid email orders.read")
    assert more.text.count(">new<") == 2
    assert "see your e-mail address" in more.text
    assert "orders.read" in more.text


async def test_WB_10_no_is_an_answer_and_nothing_is_kept(client, visitor, person):
    page = await visitor.sign_in(await visitor.ask(client, state="s-1"), person)
    answer = await visitor.submit(form_of(page, "consent"), decision="deny")
    told = location(answer)
    assert (told["error"], told["state"]) == ("access_denied", "s-1")
    assert form_of(await visitor.ask(client), "consent")


async def test_WB_10_nobody_answers_for_somebody_else_who_signed_in_meanwhile(
    api, client, visitor, person
):
    question = form_of(await visitor.sign_in(await visitor.ask(client), person), "consent")
    other = await api.person()
    second = await visitor.sign_in(await visitor.ask(client, prompt="login"), other)
    assert other.email in second.text
    shown = await visitor.submit(question, decision="allow")
    assert other.email in shown.text, "the other person is asked"
    assert form_of(shown, "consent")
    granted = "select count(*) from consents where user_id = any($1)"
    assert await api.sql.fetchval(granted, [person.id, other.id]) == 0


@pytest.mark.parametrize("decision", [{}, {"decision": "maybe"}])
async def test_WB_10_what_is_neither_yes_nor_no_decides_nothing(client, visitor, person, decision):
    page = await visitor.sign_in(await visitor.ask(client), person)
    answer = await visitor.submit(form_of(page, "consent"), **decision)
    assert answer.status_code == 400
    assert form_of(await visitor.get(str(page.url)), "consent")


async def test_another_account_can_be_chosen_where_consent_is_asked(api, client, visitor, person):
    page = await visitor.sign_in(await visitor.ask(client), person)
    link = read(page).by_id("other-account")
    shown = await visitor.get(link["href"])
    assert form_of(shown, "login").controls["email"]["value"] == ""
    german = next(told["href"] for tag, told in read(shown).elements if told.get("lang") == "de")
    shown = await visitor.get(german)
    assert form_of(shown, "login").controls["email"]["value"] == ""
    other = await api.person()
    assert other.email in (await visitor.sign_in(shown, other)).text


# -- words -----------------------------------------------------------------------------------------


async def test_an_unknown_address_a_wrong_password_and_a_closed_account_are_told_alike(
    api, trusted, visitor, person
):
    closed = await api.person()
    await api.operator.accounts.disable(closed.id)
    pages = set()
    for email, password in (
        (person.email, "wrong password"),
        ("nobody@example.com", "wrong password"),
        ("no address", "wrong password"),
        (person.email, "x"),
        (closed.email, closed.password),
    ):
        page = await visitor.ask(trusted)
        answer = await visitor.sign_in(page, person, email=email, password=password)
        assert answer.status_code == 403
        form = form_of(answer, "login")
        assert form.controls["email"]["value"] == email
        assert form.controls["password"].get("value") is None
        assert form.controls["password"]["aria-invalid"] == "true"
        assert read(answer).by_id("problem")["role"] == "alert"
        pages.add(re.sub(r'value="[^"]*"|request=[\w-]+', "", answer.text))
    assert len(pages) == 1
    assert "The e-mail address or the password is wrong." in pages.pop()


async def test_who_tries_too_often_is_told_when_to_come_back(api, trusted, visitor, person):
    page = await visitor.ask(trusted)
    for _ in range(12):
        answer = await visitor.sign_in(page, person, password="wrong password")
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    seconds = int(answer.headers["retry-after"])
    assert f"Try again in {seconds} second" in answer.text
    assert form_of(answer, "login"), "the form is still there"


async def test_a_form_that_is_not_filled_in_is_shown_again(trusted, visitor, person):
    page = await visitor.ask(trusted)
    answer = await visitor.sign_in(page, person, password="")
    assert answer.status_code == 400
    assert "Enter your e-mail address and your password." in answer.text
    assert form_of(answer, "login").controls["email"]["value"] == person.email


@pytest.mark.parametrize(
    ("wanted", "header", "expected"),
    [
        ({}, "de-AT,de;q=0.9,en;q=0.5", "de"),
        ({}, "fr;q=1, en;q=0.8", "en"),
        ({}, "xx", "en"),
        ({"ui_locales": "de"}, "en", "de"),
        ({"ui_locales": "fr de-CH en"}, "en", "de"),
        ({"ui_locales": "fr"}, "de", "de"),
    ],
)
async def test_a_page_is_in_the_language_of_who_reads_it(api, trusted, wanted, header, expected):
    page = await Visitor(api, language=header).ask(trusted, **wanted)
    assert f'<html lang="{expected}" dir="ltr">' in page.text
    assert ("Anmelden" in page.text) == (expected == "de")


async def test_the_language_is_changed_on_the_page_and_the_sign_in_goes_on(client, visitor, person):
    page = await visitor.ask(client)
    (link,) = [a["href"] for t, a in read(page).elements if a.get("hreflang") == "de"]
    german = await visitor.get(link)
    assert "Passwort" in german.text
    wrong = await visitor.sign_in(german, person, password="wrong password")
    assert "Die E-Mail-Adresse oder das Passwort ist falsch." in wrong.text
    question = await visitor.sign_in(wrong, person)
    assert "Erlauben" in question.text, "the choice is kept"
    assert "code" in location(await visitor.submit(form_of(question, "consent"), decision="allow"))


# -- P9: each of them ends in a page with one clear way on ----------------------------------------


def way_on(answer, client_name="Orders & Co"):
    """Return the only thing to do on a page that says that a sign-in is over."""
    page = read(answer)
    assert answer.status_code == 400
    assert page.forms == []
    assert (page.by_id("back") is None) != (page.by_id("way-on") is None)
    if page.by_id("back"):
        assert page.by_id("back")["href"] == "https://rp.example.com/"
        assert f"Back to {client_name}" in page.text
    return page.text


async def test_a_form_that_is_sent_twice_gives_one_code_and_a_way_on(trusted, visitor, person):
    page = await visitor.ask(trusted)
    form = form_of(page, "login")
    typed = {**form.fields, "email": person.email, "password": person.password}
    first = await visitor.once("POST", form.action, typed, OWN_FORM)
    second = await visitor.once("POST", form.action, typed, OWN_FORM)
    assert "code" in location(await visitor.get(first.headers["location"]))
    assert "Back to Orders" in way_on(await visitor.get(second.headers["location"]))
    assert "You are signed in" in way_on(await visitor.sign_in(page, person))


async def test_the_back_button_leads_to_a_way_on(client, visitor, person):
    page = await visitor.ask(client)
    question = await visitor.sign_in(page, person)
    form = form_of(question, "consent")
    again = await visitor.get(str(page.url))
    assert form_of(again, "consent").fields["request"] == form.fields["request"]
    assert "code" in location(await visitor.submit(form, decision="allow"))
    for address in (str(page.url), str(question.url)):
        assert "You are signed in" in way_on(await visitor.get(address))
    way_on(await visitor.submit(form, decision="allow"))
    way_on(await visitor.submit(form, decision="deny"))


async def test_two_tabs_both_lead_to_the_application(trusted, visitor, person):
    one, two = await visitor.ask(trusted), await visitor.ask(trusted)
    assert "code" in location(await visitor.sign_in(one, person))
    assert "code" in location(await visitor.sign_in(two, person))


async def test_a_request_that_waited_too_long_is_over_and_says_so(api, trusted, visitor, person):
    page = await visitor.ask(trusted)
    requests = api.operator.requests
    pending = await requests.find(
        form_of(page, "login").fields["request"], visitor.cookie("browser")
    )
    waited = await replace(requests, lifetime=timedelta(0)).begin(
        pending.request, visitor.cookie("browser")
    )
    named = {"request": waited, "client": trusted}
    for path in ("/login", "/consent", "/oauth2/authorize/resume"):
        assert "This sign-in is over" in way_on(await visitor.get(f"{path}?{urlencode(named)}"))


async def test_an_error_page_says_whose_fault_it_is_and_a_number_to_quote(visitor):
    page = await visitor.get(authorization("nobody"))
    assert page.status_code == 400
    assert "location" not in page.headers
    assert "You did nothing wrong" in page.text
    assert page.headers["x-request-id"] in page.text


async def test_who_looks_for_what_is_not_here_reads_a_page_and_a_program_reads_json(visitor):
    page = await visitor.get("/", accept="text/html,*/*;q=0.8")
    assert page.status_code == 404
    assert is_page(page)
    assert 'href="/account"' in page.text
    for address, accept in [("/", "*/*"), ("/auth/nothing", "text/html")]:
        answer = await visitor.get(address, accept=accept)
        assert answer.status_code == 404
        assert answer.json()["error"] == "not_found"


async def test_the_same_cookie_twice_is_a_bad_request(trusted, visitor):
    await visitor.ask(trusted)
    name = next(one for one in visitor.jar if "browser" in one)
    doubled = {"cookie": f"{name}={visitor.jar[name]}; {name}={'x' * 43}"}
    answer = await Visitor(visitor.api).once("GET", "/login?request=x", None, doubled)
    assert answer.status_code == 400
    assert is_page(answer)


# -- while something is away ------------------------------------------------------------------------


async def test_while_the_database_is_away_a_page_says_so_in_the_language_of_who_reads_it():
    settings = load_settings(replicas.settings("postgresql://127.0.0.1:1/nowhere", None))
    parts = Parts.of(settings, SystemClock())
    app = public_app(parts, stderr_writer())
    browser = f"{parts.browser_cookies.name('browser')}={'v' * 43}"
    handle = seal(Sealed(REQUEST, datetime(2100, 1, 1, tzinfo=UTC)), "v" * 43, parts.secrets)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url=settings.issuer
    ) as caller:
        answer = await caller.get(
            f"/login?request={handle}&lang=de", headers={"cookie": browser, "accept-language": "en"}
        )
    await parts.close()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Der Fehler liegt bei uns. Nächster Versuch möglich in: 1 Sekunde." in answer.text
    assert read(answer).by_id("again")["href"] == f"/login?request={handle}&lang=de"


async def test_a_form_that_cannot_be_answered_now_is_followed_by_a_way_back_to_its_page():
    """P9: nobody has to start again, and no password is kept, shown or sent twice."""
    settings = load_settings(replicas.settings("postgresql://127.0.0.1:1/nowhere", None))
    parts = Parts.of(settings, SystemClock())
    app, value, password = public_app(parts, stderr_writer()), "v" * 43, "hunter2-hunter2"
    handle = seal(Sealed(REQUEST, datetime(2100, 1, 1, tzinfo=UTC)), value, parts.secrets)
    cookies = f"{parts.browser_cookies.name('browser')}={value}"
    cookies += f"; {parts.browser_cookies.name('login')}={value}"
    named = {"request": handle, "client": "shop"}
    forms = {
        "/login": ("login", named, {"email": "a@example.com", "password": password}),
        "/consent": ("consent", named, {"decision": "allow"}),
        "/account": ("end-all", {}, {"do": "end-all"}),
        "/oauth2/logout": ("logout", {"state": "a&b", "client_id": "shop"}, {}),
    }
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url=settings.issuer
    ) as caller:
        for path, (form, kept, typed) in forms.items():
            csrf = parts.csrf.token(value, form, kept.get("request", ""))
            sent = {**kept, **typed, "csrf": csrf}
            answer = await caller.post(path, data=sent, headers={"cookie": cookies, **OWN_FORM})
            assert answer.status_code == 503
            assert read(answer).by_id("again")["href"] == f"{path}?{urlencode(kept)}".rstrip("?")
            assert password not in answer.text
    await parts.close()
