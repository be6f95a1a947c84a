"""The signing keys at rest: one signs, one is published ahead, and our secrets open both."""

from datetime import timedelta

from keyturn.doctor.finding import Check, Finding, error, warning
from keyturn.keys.decision import Policy, Situation
from keyturn.keys.model import StoredKey

SIGNING = error("keys.signing")
NEXT = warning("keys.next")
SEALED = error("keys.sealed")
OVERDUE = warning("keys.overdue")
SECRET = warning("keys.secret")

CHECKS: tuple[Check, ...] = (SIGNING, NEXT, SEALED, OVERDUE, SECRET)

SLACK = timedelta(days=1)
"""Servers look every few seconds; one that is a day late is not there."""

START = "start a server: `keyturn serve` makes keys by itself; or `keyturn keys rotate`"


def signing_keys(situation: Situation, policy: Policy) -> list[Finding]:
    """Judge the keys of a database, as a process with our secrets sees them."""
    return [
        _signing(situation.signing),
        _next(situation, policy),
        *_sealed(situation),
        _overdue(situation, policy),
        _secret(situation),
    ]


def _signing(key: StoredKey | None) -> Finding:
    if key is None:
        return SIGNING.wrong("no key signs: no token can be issued", START)
    return SIGNING.ok(f"{_short(key)} signs since {key.since:%Y-%m-%d}")


def _next(situation: Situation, policy: Policy) -> Finding:
    key = situation.upcoming
    if key is None:
        sentence = "no next key is published: an emergency rotation would fail at every verifier"
        return NEXT.wrong(sentence, START)
    wait = policy.lead - situation.age(key)
    ready = "may sign" if wait <= timedelta(0) else f"may sign in {wait.total_seconds():.0f} s"
    return NEXT.ok(f"{_short(key)} is published ahead and {ready}")


def _sealed(situation: Situation) -> list[Finding]:
    shut = [key for key in situation.keys if key.sealed and not situation.opens(key)]
    if not shut:
        return [SEALED.ok("the listed secrets open every private key")]
    return [
        SEALED.wrong(
            f"the {key.state} key {_short(key)} is sealed under secret {key.secret_id}, which is "
            "not listed here, or is another value under that id",
            f"list secret {key.secret_id} in `secrets` again; if it is lost: "
            "`keyturn keys rotate --compromised`",
        )
        for key in shut
    ]


def _overdue(situation: Situation, policy: Policy) -> Finding:
    key = situation.signing
    if key is None:
        return OVERDUE.skipped("no key signs")
    age = situation.age(key)
    if age <= policy.period + SLACK:
        return OVERDUE.ok(f"the next rotation is due in {(policy.period - age).days} days")
    sentence = f"{_short(key)} has signed for {age.days} days, longer than keys.period"
    return OVERDUE.wrong(sentence, "see the server's log for why it rotates nothing; "
                         "`keyturn keys rotate` does what is due")  # fmt: skip


def _secret(situation: Situation) -> Finding:
    old = [
        key
        for key in situation.keys
        if situation.opens(key) and key.secret_id != situation.current_secret
    ]
    if not old:
        return SECRET.ok("private keys are sealed under the first secret")
    sentence = f"the {old[0].state} key is still sealed under secret {old[0].secret_id}"
    mend = "restart the servers with these secrets, or `keyturn keys rotate`: they reseal it"
    return SECRET.wrong(sentence, mend)


def _short(key: StoredKey) -> str:
    return f"{key.kid[:8]}..."
