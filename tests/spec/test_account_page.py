"""The account page over HTTP: my sessions, what I have allowed, and the end of both."""

import re
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

import pytest

from support.api import FOREIGN_ORIGIN, SignedIn
from support.visitor import CALLBACK, OWN_FORM, VERIFIER, WEB, Visitor, form_of, location, read

ACTS = ("end-session", "end-others", "end-all", "withdraw")
HOSTILE = "\"'><svg onload=alert(1)>{{73170*10007}}"
MOST_BYTES = 30_000
FOREIGN_FORMS = [{"origin": FOREIGN_ORIGIN}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]


@pytest.fixture(scope="module")
async def client(api):
    """A third party's web app, which asks for consent."""
    return await api.client(WEB)


@pytest.fixture
async def person(api):
    return await api.person()


@pytest.fixture
def visitor(api):
    return Visitor(api)


async def at_account(visitor, person):
    """Sign in for nothing but the account and return its page."""
    page = await visitor.get("/account")
    return await visitor.sign_in(page, person)


async def in_app(api, visitor, client, person, **asked):
    """Sign in at an application in this browser; return what it holds then."""
    answer = await visitor.ask(client, **asked)
    if answer.status_code == 200 and "login" in [one.id for one in read(answer).forms]:
        answer = await visitor.sign_in(answer, person)
    if answer.status_code == 200:
        answer = await visitor.submit(form_of(answer, "consent"), decision="allow")
    given = await redeem(api, client, location(answer)["code"])
    assert given.status_code == 200, given.text
    sid = await api.sql.fetchval(
        "select id from sessions where user_id = $1 order by created_at desc, id desc limit 1",
        person.id,
    )
    return SignedIn(client, given.json()["access_token"], given.json()["refresh_token"], sid)


async def redeem(api, client, code):
    return await api.token(
        client,
        grant_type="authorization_code",
        code=code,
        redirect_uri=CALLBACK,
        code_verifier=VERIFIER,
    )


async def lives(api, device):
    """Whether the application can still refresh; it is refused as every dead session is."""
    row = await api.row(device)
    if row["revoked_at"] is None:
        return True
    answer = await api.refresh(device)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    return False


def rows_of(page):
    """Return the ids of the sessions on a page, in their order."""
    buttons = [told for tag, told in read(page).elements if tag == "button"]
    return [told["value"] for told in buttons if told.get("name") == "session"]


def said(page):
    """Return whether the page says that something was done."""
    return read(page).by_id("done") is not None


# -- signing in for nothing but the account --------------------------------------------------------


@pytest.mark.parametrize("address", ["/account", "/login", "/login?request="])
async def test_who_is_not_signed_in_signs_in_and_comes_to_the_account(visitor, person, address):
    page = await visitor.get(address)
    assert page.status_code == 200
    assert page.url.path == "/login"
    assert "request" not in form_of(page, "login").fields
    wrong = await visitor.sign_in(page, person, password="wrong password")
    assert wrong.status_code == 403
    account = await visitor.sign_in(wrong, person)
    assert account.url.path == "/account"
    assert person.email in account.text
    assert (await visitor.get(address)).url.path == "/account"


async def test_WB_7_no_parameter_leads_from_the_sign_in_elsewhere(visitor, person):
    names = ("next", "return_to", "redirect", "url", "redirect_uri", "continue", "to")
    for address in ("https://evil.example.net", "//evil.example.net", "/logout"):
        leading = dict.fromkeys(names, address)
        form = form_of(await visitor.get(f"/login?{urlencode(leading)}&other=yes"), "login")
        typed = {**form.fields, **leading, "email": person.email, "password": person.password}
        answer = await Visitor(visitor.api, jar=dict(visitor.jar)).once(
            "POST", form.action, typed, OWN_FORM
        )
        assert answer.headers["location"] == f"{visitor.api.issuer}/account"


async def test_WB_2_a_planted_cookie_is_not_adopted_and_another_browser_cannot_finish(
    api, visitor, person
):
    page = await visitor.get("/account")
    name = next(one for one in visitor.jar if "browser" in one).replace("browser", "login")
    planted = visitor.jar[name] = "planted-by-somebody-else-0123456789abcdefghi"
    other = Visitor(api)
    await other.get("/account")
    assert (await other.sign_in(page, person)).status_code == 403
    assert other.cookie("login") is None
    await visitor.sign_in(page, person)
    assert visitor.cookie("login") not in {None, planted}


async def test_WB_4_nobody_is_signed_in_by_a_foreign_form(visitor, person):
    form = form_of(await visitor.get("/account"), "login")
    typed = {"email": person.email, "password": person.password}
    for headers in FOREIGN_FORMS:
        assert (await visitor.submit(form, headers, **typed)).status_code == 403
    assert visitor.cookie("login") is None


async def test_WB_4_the_token_of_a_request_does_not_sign_in_for_the_account(
    client, visitor, person
):
    form = form_of(await visitor.ask(client), "login")
    del form.fields["request"]
    typed = {"email": person.email, "password": person.password}
    assert (await visitor.submit(form, **typed)).status_code == 403


# -- the list --------------------------------------------------------------------------------------


async def test_sessions_are_listed_with_those_of_this_browser_marked_and_first(
    api, client, visitor, person
):
    here = await in_app(api, visitor, client, person)
    offline = await in_app(api, visitor, client, person, scope="openid offline_access")
    app = await api.sign_in(person)
    await api.sql.execute(
        "update sessions set created_at = now() - interval '3 days' where id = $1", here.session_id
    )
    page = await visitor.get("/account")
    assert rows_of(page) == [str(one.session_id) for one in (offline, here, app)]
    text = read(page).text
    assert text.count("this browser") == 2 + 2, "two marks, and in the words about the buttons"
    assert text.count("Stays connected when you sign out.") == 1
    assert "Signed in 3 days ago" in text
    assert "Firefox on a test bench" in text
    german = await Visitor(api, jar=visitor.jar).get("/account?lang=de")
    assert "Angemeldet vor 3 Tagen" in read(german).text


async def test_a_page_of_many_sessions_stays_light_and_says_what_it_leaves_out(
    api, visitor, person
):
    for _ in range(43):
        await api.seed("app", person, device="Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")
    page = await at_account(visitor, person)
    assert len(rows_of(page)) == 40
    assert "not shown: 3" in read(page).text
    (sheet,) = [a["href"] for _, a in read(page).elements if a.get("rel") == "stylesheet"]
    assert len(page.content) + len((await visitor.get(sheet)).content) < MOST_BYTES


async def test_WB_6_what_an_application_or_a_browser_says_is_shown_escaped(api, visitor, person):
    hostile = await api.client(WEB, name='<b>Bold & "Co"</b>')
    await api.seed(hostile, person, device=HOSTILE)
    await api.operator.consents.grant(person.id, hostile, frozenset({"openid"}))
    await at_account(visitor, person)
    page = await visitor.get(f"/account?{urlencode({'done': HOSTILE, 'seal': HOSTILE})}")
    for raw in ("<svg", "<b>Bold", "732212190"):
        assert raw not in page.text
    assert HOSTILE in read(page).text


# -- ending one ------------------------------------------------------------------------------------


async def test_a_session_that_is_ended_refreshes_no_more_and_another_goes_on(
    api, client, visitor, person
):
    one, other = await in_app(api, visitor, client, person), await api.sign_in(person)
    form = form_of(await visitor.get("/account"), "end-session")
    page = await visitor.submit(form, session=str(one.session_id))
    assert said(page)
    assert rows_of(page) == [str(other.session_id)]
    assert (await lives(api, one), await lives(api, other)) == (False, True)
    (event,) = await api.events("session_ended", session_id=one.session_id)
    assert event["user_id"] == person.id
    again = await visitor.submit(form, session=str(one.session_id))
    assert rows_of(again) == [str(other.session_id)], "sent twice, it does nothing more"


async def test_what_is_not_mine_is_left_alone_and_told_as_what_is_gone(api, visitor, person):
    mine, theirs = await api.sign_in(person), await api.sign_in(await api.person())
    gone = await api.sign_in(person)
    await api.operator.ending.one(gone.session_id)
    form = form_of(await at_account(visitor, person), "end-session")
    answers = set()
    for named in (gone.session_id, theirs.session_id, uuid4(), "no id", ""):
        sent = {**form.fields, "session": str(named)}
        answer = await visitor.once("POST", form.action, sent, OWN_FORM)
        answers.add((answer.status_code, answer.headers["location"], answer.text))
    assert len(answers) == 1
    assert said(await visitor.get(answers.pop()[1]))
    assert (await lives(api, mine), await lives(api, theirs)) == (True, True)


# -- all others, and all ---------------------------------------------------------------------------


async def test_all_others_end_and_this_browser_goes_on(api, client, visitor, person):
    here = await in_app(api, visitor, client, person)
    elsewhere, app = Visitor(api), await api.sign_in(person)
    there = await in_app(api, elsewhere, client, person, scope="openid offline_access")
    code = location(await elsewhere.ask(client))["code"]
    stranger = await api.sign_in(await api.person())
    page = await visitor.submit(form_of(await visitor.get("/account"), "end-others"))
    assert said(page)
    assert rows_of(page) == [str(here.session_id)]
    for device, alive in ((here, True), (there, False), (app, False), (stranger, True)):
        assert await lives(api, device) is alive
    assert (await redeem(api, client, code)).json()["error"] == "invalid_grant"
    assert form_of(await elsewhere.ask(client), "login"), "the other browser is signed out"
    assert await lives(api, await in_app(api, visitor, client, person)), "this one goes on"
    assert await api.events("logout_all", user_id=person.id)


async def test_all_end_with_this_browser_and_what_was_under_way(api, client, visitor, person):
    here = await in_app(api, visitor, client, person, scope="openid offline_access")
    app, kept = await api.sign_in(person), dict(visitor.jar)
    code = location(await visitor.ask(client, scope="openid"))["code"]
    form = form_of(await visitor.get("/account"), "end-all")
    page = await visitor.submit(form)
    assert "You are signed out" in page.text
    assert read(page).by_id("sign-in")["href"] == "/account"
    assert visitor.cookie("login") is None
    assert (await lives(api, here), await lives(api, app)) == (False, False)
    assert (await redeem(api, client, code)).json()["error"] == "invalid_grant"
    assert (await Visitor(api, jar=kept).get("/account")).url.path == "/login"
    assert await api.events("logout_all", user_id=person.id)
    assert "You are signed out" in (await visitor.submit(form)).text, "sent twice"


# -- WB-10: what I have allowed --------------------------------------------------------------------


async def test_WB_10_what_was_allowed_is_listed_in_plain_words_and_taken_back(
    api, client, visitor, person
):
    device = await in_app(api, visitor, client, person, scope="openid email orders.read")
    other = await in_app(api, Visitor(api), await api.client(WEB, name="Other"), person)
    page = await visitor.get("/account")
    assert "see your e-mail address" in page.text
    assert "use “orders.read”" in page.text
    form = form_of(page, "withdraw")
    assert form.controls[f"withdraw-{client}"]["value"] == client
    after = await visitor.submit(form, client=client)
    assert said(after)
    assert f"withdraw-{client}" not in after.text
    assert (await lives(api, device), await lives(api, other)) == (False, True)
    assert form_of(await visitor.ask(client), "consent"), "it has to ask again"
    assert said(await visitor.submit(form, client=client)), "sent twice, it does nothing more"
    for odd in ("nobody", "x" * 5000, HOSTILE):
        assert said(await visitor.submit(form, client=odd))
    assert await lives(api, other)


async def test_an_account_where_nothing_is_says_so(visitor, person):
    page = await at_account(visitor, person)
    assert read(page).by_id("no-sessions")
    assert read(page).by_id("no-applications")
    assert [one.id for one in read(page).forms] == ["end-others", "end-all"]


# -- WB-4: who sent this ---------------------------------------------------------------------------


@pytest.fixture
async def with_all_forms(api, client, visitor, person):
    """A page that has every form, and the session whose end would show that one was believed."""
    device = await in_app(api, visitor, client, person)
    await api.sign_in(person)
    return await visitor.get("/account"), device


def seal_on(page):
    """Return what makes a page say that something was done."""
    return parse_qs(page.url.query.decode())["seal"][0]


async def test_WB_4_a_form_is_believed_from_our_own_page_in_this_browser_only(
    client, visitor, person, with_all_forms
):
    api, (page, device) = visitor.api, with_all_forms
    pressed = {"session": str(device.session_id), "client": client}
    foreign = await at_account(Visitor(api), await api.person())
    seal = seal_on(await visitor.submit(form_of(page, "end-session"), session=str(uuid4())))
    name = next(one for one in visitor.jar if "browser" in one)
    elsewhere = Visitor(api, jar={**visitor.jar, name: "x" * 43})
    for act, other_act in zip(ACTS, (*ACTS[1:], ACTS[0]), strict=True):
        form = form_of(page, act)
        for headers in FOREIGN_FORMS:
            assert (await visitor.submit(form, headers, **pressed)).status_code == 403
        token = form.fields["csrf"]
        altered = token[:-1] + ("0" if token[-1] != "0" else "1")
        another = form_of(page, other_act).fields["csrf"]
        somebodys = form_of(foreign, "end-all").fields["csrf"]
        for wrong in ("", altered, another, somebodys, seal):
            answer = await visitor.submit(form, **pressed, csrf=wrong)
            assert answer.status_code == 403
            assert read(answer).by_id("way-on")["href"] == "/account"
        assert (await elsewhere.submit(form, **pressed)).status_code == 403
    alive = "select count(*) from sessions where user_id = $1 and revoked_at is null"
    assert await api.sql.fetchval(alive, person.id) == 2
    assert f"withdraw-{client}" in (await visitor.get("/account")).text


async def test_WB_4_what_is_no_form_of_this_page_does_nothing(visitor, with_all_forms):
    page, device = with_all_forms
    form = form_of(page, "end-session")
    seal = seal_on(await visitor.submit(form, session=str(uuid4())))
    for act in ("", "account.session_ended", "login", "logout", "x"):
        sent = {"do": act, "csrf": seal, "session": str(device.session_id)}
        assert (await visitor.submit(form, **sent)).status_code == 400
    assert await lives(visitor.api, device)


async def test_WB_4_nothing_is_done_in_the_name_of_who_signed_in_meanwhile(
    client, visitor, with_all_forms
):
    api, (page, _) = visitor.api, with_all_forms
    other = await api.person()
    theirs = await api.sign_in(other)
    await visitor.sign_in(await visitor.ask(client, prompt="login"), other)
    kept = await in_app(api, visitor, client, other)
    for act in ACTS:
        pressed = {"session": str(theirs.session_id), "client": client}
        answer = await visitor.submit(form_of(page, act), **pressed)
        assert other.email in answer.text
        assert not said(answer)
    assert (await lives(api, theirs), await lives(api, kept)) == (True, True)
    assert f"withdraw-{client}" in answer.text


async def test_a_form_of_who_is_signed_out_by_now_ends_at_a_way_to_sign_in(api, visitor, person):
    await api.sign_in(person)
    form = form_of(await at_account(visitor, person), "end-others")
    await api.operator.accounts.logout_everywhere(person.id)
    answer = await visitor.submit(form)
    assert read(answer).by_id("sign-in")["href"] == "/account"


async def test_no_link_makes_the_page_say_that_something_was_done(api, client, visitor, person):
    await api.sign_in(person)
    page = await at_account(visitor, person)
    done = await visitor.submit(form_of(page, "end-session"), session=str(uuid4()))
    assert said(done)
    assert said(await visitor.get(f"/account?{done.url.query.decode()}")), "read again"
    told = {name: one for name, (one,) in parse_qs(done.url.query.decode()).items()}
    form = form_of(page, "end-others")
    for forged in (
        {"done": "end-others"},
        {**told, "done": "end-others"},
        {"done": "end-others", "seal": form.fields["csrf"]},
        {"done": "end-all", "seal": told["seal"]},
    ):
        assert not said(await visitor.get(f"/account?{urlencode(forged)}"))
    other = Visitor(api)
    await at_account(other, person)
    assert not said(await other.get(f"/account?{done.url.query.decode()}"))


# -- signing out -----------------------------------------------------------------------------------


async def test_who_signs_out_is_told_of_which_applications_and_how_to_come_back(
    api, client, visitor, person
):
    await in_app(api, visitor, client, person)
    second = await api.client(WEB, name="Ärzte & Söhne", skip_consent=True)
    await in_app(api, visitor, second, person)
    offline = await api.client(WEB, name="Stays", skip_consent=True)
    await in_app(api, visitor, offline, person, scope="openid offline_access")
    page = await visitor.submit(form_of(await visitor.get("/logout"), "logout"))
    names = re.findall(r"<li>([^<]*)</li>", page.text)
    assert names == ["Orders &amp; Co", "Ärzte &amp; Söhne"]
    assert read(page).by_id("sign-in")["href"] == "/account"
