"""A hundred tabs refresh at once, at two replicas: a hundred answers, one token, one lineage."""

import asyncio
import json
from urllib.parse import urlencode, urlsplit

import pytest

from support.api import SignedIn
from support.fleet import generation_of, hash_of

TABS = 100
LEAST_EACH = 30
MOST_SHED = 20
ANSWERED = ("rotated", "coalesced", "replayed")


class Tab:
    """One connection, opened before anybody asks: what it sends is then one write."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def at(cls, url: str) -> "Tab":
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    def ask(self, device: SignedIn) -> None:
        form = urlencode(
            {
                "grant_type": "refresh_token",
                "client_id": device.client_id,
                "refresh_token": device.refresh_token,
            }
        )
        self.writer.write(
            b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(form), form.encode())
        )

    async def answer(self) -> tuple[int, dict[str, str]]:
        head, _, body = (await self.reader.read()).partition(b"\r\n\r\n")
        self.writer.close()
        return int(head.split(b" ")[1]), json.loads(body)


def answered(replica) -> float:
    """Return how many refreshes a replica has answered, by its own count."""
    return sum(replica.metric("keyturn_refresh_rotations_total", result=one) for one in ANSWERED)


async def refresh_at_once(api, device: SignedIn) -> list[str]:
    """Send the same token a hundred times before reading any answer; return the tokens given."""
    urls = [api.replicas[number % 2].url for number in range(TABS)]
    answers = await ask_at_once(device, urls)
    shed = [url for url, (status, _) in zip(urls, answers, strict=True) if status == 503]
    # A machine that is busy with other things sheds a few; their tabs ask once more, as apps do.
    assert len(shed) <= MOST_SHED, "invalid: too many were never answered at the same time"
    answers = [one for one in answers if one[0] != 503] + await ask_at_once(device, shed)
    assert [status for status, _ in answers] == [200] * TABS, answers
    return [given["refresh_token"] for _, given in answers]


async def ask_at_once(device: SignedIn, urls: list[str]) -> list[tuple[int, dict[str, str]]]:
    tabs = [await Tab.at(url) for url in urls]
    for tab in tabs:
        tab.ask(device)
    return await asyncio.gather(*(tab.answer() for tab in tabs))


async def check_rounds(api, rounds: int) -> None:
    device = await api.seed("app", await api.person())
    for number in range(1, rounds + 1):
        before = [answered(replica) for replica in api.replicas]
        tokens = await refresh_at_once(api, device)
        each = [answered(one) - was for one, was in zip(api.replicas, before, strict=True)]
        print(f"round {number}: answered by each {each}, different tokens {len(set(tokens))}")
        assert min(each) >= LEAST_EACH, "invalid: one replica did nearly everything"
        assert sum(each) == TABS
        assert len(set(tokens)) == 1
        parent, device.refresh_token = device.refresh_token, tokens[0]
        await check_lineage(api, device, parent, number)
        await api.age(device)
    (again,) = set(await refresh_at_once(api, device))
    assert generation_of(again) == rounds + 1


async def check_lineage(api, device: SignedIn, parent: str, generation: int) -> None:
    """One step, whatever is used inside the grace: both live copies lead to the same token."""
    assert generation_of(device.refresh_token) == generation
    row = await api.row(device)
    assert (row["generation"], row["revoked_at"]) == (generation, None)
    assert row["token_hash"] == hash_of(device.refresh_token)
    for token in (parent, device.refresh_token):
        for on in (0, 1):
            answer = await api.refresh(device, token, on=on)
            assert answer.json()["refresh_token"] == device.refresh_token


async def test_a_hundred_parallel_refreshes_of_one_token_give_one_token(api):
    await check_rounds(api, rounds=3)


@pytest.mark.long
async def test_twenty_rounds_of_a_hundred_parallel_refreshes_are_one_lineage(api):
    await check_rounds(api, rounds=20)
