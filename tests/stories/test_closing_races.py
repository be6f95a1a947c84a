"""What a person closes stays closed, however close the race: logout, and a disabled account."""

import asyncio
import random
import statistics
import time
from collections import Counter

import httpx2
import pytest

from support.fleet import generation_of


async def in_parallel(tries: int, one_try, at_once: int = 10) -> None:
    """Run `one_try` with each number, several at a time."""
    for start in range(0, tries, at_once):
        numbers = range(start, min(start + at_once, tries))
        await asyncio.gather(*(one_try(number) for number in numbers))


# Replay after logout, inside the grace


async def replay_after_logout(api, tries: int) -> None:
    """Parent and child are both inside the grace: before the logout either would be answered."""
    people = [await api.person() for _ in range(4)]
    devices = [await api.seed("app", people[number % 4]) for number in range(tries)]
    seen = Counter()

    async def one_try(number: int) -> None:
        device = devices[number]
        parent, on = device.refresh_token, number % 2
        answer = await api.refresh(device, on=on)
        child = answer.json()["refresh_token"]
        assert (await api.refresh(device, parent, on=1 - on)).json()["refresh_token"] == child
        closing = {"refreshToken": parent if number % 4 < 2 else child}
        assert (await api.post("/auth/logout", closing, on=on)).status_code == 204
        for replayed in (parent, child):
            for where in (0, 1):
                answer = await api.refresh(device, replayed, on=where)
                seen[answer.status_code, answer.json().get("error")] += 1

    await in_parallel(tries, one_try)
    assert seen == {(400, "invalid_grant"): 4 * tries}
    query = "select revoke_reason, generation from sessions where user_id = any($1::uuid[])"
    rows = await api.sql.fetch(query, [person.id for person in people])
    assert [tuple(row) for row in rows] == [("logout", 1)] * tries


async def test_a_token_replayed_after_logout_inside_the_grace_is_refused_40_times(api):
    await replay_after_logout(api, tries=40)


@pytest.mark.long
async def test_a_token_replayed_after_logout_inside_the_grace_is_refused_200_times(api):
    await replay_after_logout(api, tries=200)


async def test_refreshes_that_race_with_the_logout_leave_nothing_that_lives(api):
    """Those that came first were answered; what they were given is over all the same."""
    person = await api.person()
    devices = [await api.seed("app", person) for _ in range(60)]
    seen = Counter()

    async def one_try(number: int) -> None:
        device = devices[number]
        closing = api.post("/auth/logout", device.credential, on=number % 2)
        racing = [api.refresh(device, on=on) for on in (0, 1)]
        # Each of the three sets off first in a third of the tries, so that either side may win.
        racing.insert(number % 3, closing)
        answers = await asyncio.gather(*racing)
        assert answers.pop(number % 3).status_code == 204
        given = {device.refresh_token}
        for answer in answers:
            seen[answer.status_code] += 1
            if answer.status_code == 200:
                given.add(answer.json()["refresh_token"])
                assert generation_of(answer.json()["refresh_token"]) <= 1
        for token in given:
            assert (await api.refresh(device, token)).status_code == 400

    await in_parallel(60, one_try)
    print(f"answers of refreshes racing with a logout: {dict(seen)}")
    assert set(seen) == {200, 400}, "invalid: one side always won"


# Disable racing with login


async def race_with_disable(api, tries: int, seed: int = 0) -> Counter:
    """Sign in while the account is being disabled; count what the sign-ins were told."""
    chance, seen = random.Random(tries + seed), Counter()
    people = [await api.person() for _ in range(tries)]
    took = [await timed_login(api, await api.person()) for _ in range(3)]

    async def disable(person) -> None:
        # Somewhere in the time that the last few sign-ins took, or a little later.
        await asyncio.sleep(chance.uniform(0, 1.3) * statistics.median(took[-5:]))
        await api.operator.accounts.disable(person.id)

    async def sign_in(person, on: int) -> httpx2.Response:
        began = time.monotonic()
        answer = await api.login(person, on=on)
        took.append(time.monotonic() - began)
        return answer

    async def one_try(number: int) -> None:
        person = people[number]
        answer, _ = await asyncio.gather(sign_in(person, number % 2), disable(person))
        if answer.status_code == 200:
            seen["signed in, then ended"] += 1
            await check_ended(api, answer.json())
        else:
            status, code, reason = await api.refusal(answer)
            assert (status, code) == (401, "invalid_credentials")
            seen[reason] += 1
        if number % 20 == 0:
            assert (await api.login(person)).status_code == 401

    await in_parallel(tries, one_try, at_once=2)
    live = "select count(*) from sessions where user_id = any($1::uuid[]) and revoked_at is null"
    assert await api.sql.fetchval(live, [person.id for person in people]) == 0
    print(f"sign-ins racing with disable: {dict(seen)}")
    return seen


async def timed_login(api, person) -> float:
    began = time.monotonic()
    assert (await api.login(person)).status_code == 200
    return time.monotonic() - began


async def check_ended(api, given) -> None:
    """Whatever the sign-in was given is over, everywhere, once disable has returned."""
    form = {"grant_type": "refresh_token", "refresh_token": given["refreshToken"]}
    bearer = {"authorization": f"Bearer {given['accessToken']}"}
    for on in (0, 1):
        refresh, me, active = await asyncio.gather(
            api.token("app", on=on, **form),
            api.get("/auth/me", on=on, headers=bearer),
            api.is_active(given["accessToken"], on=on),
        )
        assert (refresh.json()["error"], me.status_code, active) == ("invalid_grant", 401, False)


def caught(seen: Counter) -> list[str]:
    """Return how sign-ins were caught between the password and the session."""
    return [one for one in seen if "changed meanwhile" in one or "closed since" in one]


def check_valid(seen: Counter) -> None:
    """Both sides won sometimes, and some were caught between the password and the session."""
    assert seen["signed in, then ended"], "invalid: no sign-in ever came first"
    assert caught(seen), "invalid: no account was closed while its password was being checked"


async def test_a_sign_in_racing_with_disable_never_leaves_a_live_session(api):
    """Again, while chance shows one side only: the hashes of these servers are quick."""
    seen = Counter()
    for seed in range(8):
        seen += await race_with_disable(api, 60, seed)
        if seen["signed in, then ended"] and caught(seen):
            break
    check_valid(seen)


@pytest.mark.long
async def test_200_sign_ins_racing_with_disable_never_leave_a_live_session(api):
    seen = await race_with_disable(api, tries=200)
    check_valid(seen)
    assert any("closed since" in reason for reason in seen), "invalid: the last gap was never hit"
