"""100,000 mutated requests over every endpoint of both ports, made of valid ones by a grammar.

    KEYTURN_ATTACK_REQUESTS=100000 KEYTURN_ATTACK_SEED=7 .venv/bin/pytest -n 0 -s -m "long or not long" tests/attacks/test_mutated_requests.py

A small slice with the same judge runs by default. `KEYTURN_ATTACK_JSON` names a file for the counts.
"""

import json
import os
from pathlib import Path
from random import Random

import pytest

from attacks.campaign import Campaign
from attacks.judge import Judge
from attacks.seeds import SEEDS, SHARES
from attacks.stock import Stock
from attacks.wire import Line
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.hosted import Hosted
from keyturn.management import management_routes
from keyturn.parts import Parts
from keyturn.routes import public_routes
from support.replicas import REGISTERING, settings
from support.tree import differences

SLICE = 300
FULL = 100_000
LONG = int(os.environ.get("KEYTURN_ATTACK_REQUESTS", FULL))
PARTS = 20
MOST_GROWTH = 128 * 2**20
"""Bytes that a server may grow by after its first batch: caches fill, nothing leaks."""


def routes_of(parts):
    """Return `METHOD path` of every route that a server answers, on either port."""
    routes = [*public_routes(parts, Hosted.of(parts)), *management_routes(parts)]
    return {f"{method} {one.path}" for one in routes for method in one.methods - {"HEAD"}}


def test_every_route_is_attacked():
    """The table of valid requests is the server's own: a new endpoint cannot be forgotten."""
    environ = settings("postgresql:///nowhere", None, **REGISTERING)
    parts = Parts.of(load_settings(environ), SystemClock())
    assert differences(set(SEEDS), routes_of(parts)) == []


async def test_every_mutant_begins_as_a_request_that_is_answered(target):
    """Else nothing would be met behind the first check."""
    stock = await Stock.made(target, Random("valid"))
    url, management = target.replicas[0].url, target.replicas[0].management_url
    ports = {
        manages: int(at.rpartition(":")[2]) for manages, at in ((False, url), (True, management))
    }
    refused = []
    for share in SHARES:
        one = share.make(stock)
        answer = await Line(ports[one.manages]).ask(one.written())
        if answer.status >= 400 and not is_waiting(answer):
            refused.append((one.door, answer.status, answer.body))
        assert [*Judge(target.issuer, stock.secrets).complaints(one, answer)] == []
    assert refused == [], "\n".join(map(str, refused))


def is_waiting(answer):
    """Whether it is a device that has to ask again, or a key that is not due: what a good request gets."""
    return answer.status == 400 and b"authorization_pending" in answer.body


async def test_a_slice_of_mutants_finds_nothing(target, attack_seed):
    campaign = Campaign(target, attack_seed)
    await campaign.run(range(SLICE))
    assert campaign.findings == [], report(campaign)


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
async def test_100_000_mutants_find_nothing(target, attack_seed, part):
    """In parts, which several processes may send at once: `-n 4 --dist load`."""
    campaign = Campaign(target, attack_seed)
    await campaign.run(range(part * LONG // PARTS, (part + 1) * LONG // PARTS))
    tell(campaign, part)
    assert campaign.findings == [], report(campaign)
    if LONG >= FULL:
        assert {door for door, _ in campaign.counts} == set(SEEDS)
    grown = max(campaign.memory) - campaign.memory[0]
    assert grown < MOST_GROWTH


def report(campaign):
    lines = [
        f"seed {campaign.seed}: {len(campaign.findings)} findings",
        *map(str, campaign.findings[:12]),
    ]
    return "\n".join(lines)


def tell(campaign, part):
    """Print the counts, and keep them where `KEYTURN_ATTACK_JSON` says."""
    row = {
        "suite": "mutated requests", "part": part, "requests": sum(campaign.counts.values()), "seed": campaign.seed,
        "seconds": round(campaign.seconds, 1), "findings": len(campaign.findings),
        "log_lines": campaign.log_lines, "doors": campaign.table(),
        "rss_first_mib": campaign.memory[0] >> 20, "rss_last_mib": campaign.memory[-1] >> 20,
        "rss_most_mib": max(campaign.memory) >> 20, "mutations": dict(campaign.mutations.most_common()),
    }  # fmt: skip
    for one in row["doors"]:
        print(f"{one['requests']:7} {one['door']:58} {one['statuses']}")
    print({name: value for name, value in row.items() if name not in {"doors", "mutations"}})
    print(row["mutations"])
    if "KEYTURN_ATTACK_JSON" in os.environ:
        where = Path(os.environ["KEYTURN_ATTACK_JSON"])
        where.with_suffix(f".{part}.json").write_text(json.dumps(row, indent=1))
