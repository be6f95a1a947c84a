"""Answers as they arrive: what a proxy or a CDN kept, dropped, added or changed."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import orjson

from keyturn.doctor.finding import Check, Finding, error, warning
from keyturn.doctor.wire import Answer
from keyturn.web.security_headers import security_headers

TOKEN = error("answers.token")
STORED = error("answers.stored")
KEPT = error("answers.kept")
HEADERS = warning("answers.headers")
ENCODING = warning("answers.encoding")
ORIGINS = error("answers.origins")
COOKIES = error("answers.cookies")
LONG = warning("answers.long")
CLOCK = error("answers.clock")

CHECKS: tuple[Check, ...] = (
    TOKEN,
    STORED,
    KEPT,
    HEADERS,
    ENCODING,
    ORIGINS,
    COOKIES,
    LONG,
    CLOCK,
)
BAD_REQUEST = 400
FIRST_OF_TROUBLE = 400
LONGEST_MAX_AGE = 3600
"""Of `keys.jwks_max_age`, for whoever does not know the setting."""
MOST_SKEW = timedelta(seconds=10)
LONG_URL = 7000
"""Bytes of a request target that a server takes (`server.max_url_bytes`) and some links need."""
UNCHANGED = "pass headers on as they come from the servers"


def token(answer: Answer) -> list[Finding]:
    """Judge the answer to a malformed token request: `invalid_request`, never to be kept."""
    return [_shape(answer), _stored(answer)]


def kept(answers: Mapping[str, Answer], max_age: int | None) -> Finding:
    """Judge how long public documents may be kept; `max_age` is the setting, if it is known."""
    for name, answer in answers.items():
        problem = age_problem(answer, max_age)
        if problem:
            sentence = f"{name}: {problem}: verifiers would miss a rotated key"
            mend = "have the proxy respect the origin's Cache-Control, and set none of its own"
            return KEPT.wrong(sentence, mend)
    return KEPT.ok("keys and metadata may be kept for as long as the servers say")


def headers(issuer: str, answers: Mapping[str, Answer]) -> Finding:
    """Judge what every answer should carry, once."""
    for name, answer in answers.items():
        for header, value in security_headers(issuer):
            said = answer.all(header)
            if said != [value]:
                sentence = f"{name}: {header} is {' and '.join(said) or 'missing'}, not {value}"
                return HEADERS.wrong(sentence, f"{UNCHANGED}; set no such header in the proxy")
    return HEADERS.ok("security headers arrive, once each")


def encoding(answers: Mapping[str, Answer]) -> Finding:
    """Judge whether somebody compresses what was asked for as it is."""
    packed = [name for name, one in answers.items() if one.one("content-encoding")]
    if not packed:
        return ENCODING.ok("nothing is compressed unasked")
    sentence = f"compressed although nobody asked for it: {', '.join(packed)}"
    mend = "turn compression off in the proxy, for answers of /oauth2 at least"
    return ENCODING.wrong(sentence, mend)


def origins(foreign: Answer, public: Answer) -> Finding:
    """Judge what web pages may read: tokens theirs alone, keys everybody's (CORS)."""
    allowed = foreign.one("access-control-allow-origin")
    mend = f"remove every Access-Control header from the proxy's settings; {UNCHANGED}"
    if allowed:
        sentence = f"token answers may be read by pages of everybody ({allowed})"
        return ORIGINS.wrong(sentence, mend)
    if "origin" not in foreign.one("vary").lower():
        sentence = "Vary: Origin is lost from token answers: a cache would give one page another's"
        return ORIGINS.wrong(sentence, mend)
    said = public.all("access-control-allow-origin")
    if said != ["*"]:
        there = " and ".join(said) or "missing"
        sentence = f"Access-Control-Allow-Origin of the JWKS is {there}, not *"
        return ORIGINS.wrong(sentence, mend)
    return ORIGINS.ok("pages of other origins read the keys, and no token")


def cookies(issuer: str, answer: Answer) -> Finding:
    """Judge the cookie of a page: over https it is `__Host-`, `Secure`, for the whole host."""
    set_ = answer.all("set-cookie")
    if answer.status >= FIRST_OF_TROUBLE or not set_:
        mend = f"pass /login on to the servers; {UNCHANGED}"
        return COOKIES.wrong(
            f"the sign-in page is answered {answer.status} without its cookie", mend
        )
    if not issuer.startswith("https://"):
        return COOKIES.skipped("cookies carry no Secure on a loopback issuer")
    spoilt = [one for one in set_ if not _is_host_cookie(one)]
    if spoilt:
        name = spoilt[0].partition("=")[0]
        sentence = f"the cookie {name} arrives changed (not __Host-, Secure, Path=/, no Domain)"
        mend = "turn off what rewrites cookies in the proxy (proxy_cookie_path, _domain, _flags)"
        return COOKIES.wrong(sentence, mend)
    return COOKIES.ok("cookies arrive as __Host- and Secure")


def long(answer: Answer) -> Finding:
    """Judge the answer to a request with a long query."""
    if answer.status < FIRST_OF_TROUBLE:
        return LONG.ok(f"a request target of {LONG_URL} bytes gets through")
    sentence = f"a request target of {LONG_URL} bytes is refused ({answer.status}) on the way"
    mend = "raise the proxy's limit to 8 KiB (nginx: large_client_header_buffers 4 16k)"
    return LONG.wrong(sentence, mend)


def clock(answer: Answer, now: datetime) -> Finding:
    """Compare the server's clock, by its `Date`, with ours."""
    try:
        theirs = parsedate_to_datetime(answer.one("date"))
    except (ValueError, OverflowError):
        return CLOCK.skipped("the answer has no Date")
    # "-0000" is UTC, too, said by who does not know where they are (RFC 5322 section 3.3).
    behind = abs(theirs.replace(tzinfo=theirs.tzinfo or UTC) - now)
    if behind <= MOST_SKEW:
        return CLOCK.ok("the server's clock agrees with this host's")
    sentence = f"the server's Date and this host's clock differ by {behind.total_seconds():.0f} s"
    return CLOCK.wrong(sentence, "run an NTP client on both; a Date that stands still is a cache's")


def _shape(answer: Answer) -> Finding:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        document = None
    error_code = document.get("error") if isinstance(document, dict) else None
    if answer.status == BAD_REQUEST and error_code == "invalid_request":
        return TOKEN.ok("the token endpoint explains what it refuses")
    what = f"{error_code}" if error_code else (answer.one("content-type") or "nothing")
    sentence = f"a malformed token request is answered {answer.status}, {what}, not invalid_request"
    mend = "pass POST /oauth2/token on; no error pages of the proxy's own (proxy_intercept_errors)"
    return TOKEN.wrong(sentence, mend)


def _stored(answer: Answer) -> Finding:
    mend = "never cache /oauth2 and /auth in the proxy, and pass Cache-Control on"
    if answer.one("age"):
        return STORED.wrong("a token answer came out of a cache (it has an Age)", mend)
    if "no-store" not in answer.one("cache-control"):
        said = answer.one("cache-control") or "missing"
        return STORED.wrong(f"Cache-Control of a token answer is {said}, not no-store", mend)
    return STORED.ok("token answers are no-store")


def age_problem(answer: Answer, max_age: int | None) -> str:
    """Return what is wrong with how long an answer may be kept; nothing, if nothing is."""
    said = answer.one("cache-control").lower()
    found = re.search(r"max-age=(\d{1,10})", said)
    if found is None:
        return f"Cache-Control is {said or 'missing'}"
    for directive in ("s-maxage", "stale-while-revalidate", "stale-if-error", "immutable"):
        if directive in said:
            return f"Cache-Control has {directive}, which the servers did not send"
    most = LONGEST_MAX_AGE if max_age is None else max_age
    if int(found[1]) > most:
        return f"max-age is {found[1]}, longer than {most}"
    age = answer.one("age")[:10]
    if age.isdecimal() and int(age) > most:
        return f"it came out of a cache after {age} s"
    return ""


def _is_host_cookie(value: str) -> bool:
    attributes = [one.strip().lower() for one in value.split(";")[1:]]
    named = value.startswith(("__Host-", "__Http-"))
    return (
        named
        and "secure" in attributes
        and "path=/" in attributes
        and not any(one.startswith("domain=") for one in attributes)
    )
