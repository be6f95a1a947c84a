"""By the clock nobody learns who has an account (CR-4): ratios within one run, `-m timing`."""

import time
from statistics import median

import pytest

from keyturn.errors import InvalidCredentials
from keyturn.settings_credentials import PasswordsSettings, ThrottleSettings
from keyturn.users.model import NewUser
from support.people import ELSEWHERE, HERE, people

GENEROUS = ThrottleSettings(
    account_attempts=100_000, address_attempts=100_000, global_attempts=1_000_000
)
ROUNDS = 150


@pytest.mark.timing
async def test_cr_4_every_refused_sign_in_takes_the_time_of_a_wrong_password(
    database_url, redis_url
):
    defaults = PasswordsSettings()
    async with people(database_url, redis_url, GENEROUS, defaults) as rooms:
        for name in ("known", "disabled", "deleted"):
            user = await rooms.accounts.add(NewUser(f"{name}@example.com", password="right horse"))
            if name == "disabled":
                await rooms.accounts.disable(user.id)
            if name == "deleted":
                await rooms.accounts.delete(user.id)
        await rooms.accounts.add(NewUser("without@example.com"))
        times: dict[str, list[float]] = {}
        names = ["known", "unknown", "disabled", "deleted", "without"]
        for turn in range(ROUNDS):
            # In turns, each going first as often as the others: what else this machine does, and
            # what comes before, falls on all alike.
            for name in names[turn % 5 :] + names[: turn % 5]:
                began = time.perf_counter()
                with pytest.raises(InvalidCredentials):
                    await rooms.authenticator.authenticate(
                        f"{name}@example.com", "wrong horse", HERE if name == "known" else ELSEWHERE
                    )
                times.setdefault(name, []).append(time.perf_counter() - began)
    neutral = median(times.pop("known"))
    ratios = {name: round(median(taken) / neutral, 3) for name, taken in times.items()}
    print(f"a wrong password: {neutral * 1000:.1f} ms; the others, relative: {ratios}")
    assert all(0.95 < ratio < 1.05 for ratio in ratios.values()), ratios
