"""Every row of the fault table is injected or has its reason; a schedule leaves nothing out."""

import re
from pathlib import Path

import pytest

from chaos.faults import FAULTS
from chaos.faults.fault import LONG, SHORT
from chaos.promises import INTROSPECTION
from chaos.schedule import Planned, plan, strike
from chaos.world import GRACE, World
from support.fleet import Fleet

PAGE = Path(__file__).with_name("faults") / "README.md"
ROW = re.compile(r"^\| (F\d+) \| (no|`[^|]+`) \| (.+) \|$", re.MULTILINE)
ROWS = [f"F{number}" for number in range(1, 31)]


def on_page(text):
    """Read the table: what is injected for each row."""
    return {row: set(re.findall(r"`([^`]+)`", here)) for row, here, _ in ROW.findall(text)}


def misfits(text):
    """Name rows the table lacks, and faults that only one of table and code knows."""
    table = on_page(text)
    named = set().union(*table.values())
    return (set(ROWS) ^ set(table)) | (named ^ set(FAULTS))


def test_the_table_has_every_row_and_every_fault():
    assert misfits(PAGE.read_text()) == set()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("| F6 | `F6` |", "| F6b | `F6` |", {"F6"}),
        (" `F14-old`", "", {"F14-old"}),
        ("| F20 | no |", "| F20 | `F20` |", {"F20"}),
    ],
)
def test_a_table_that_says_otherwise_is_found(old, new, found):
    text = PAGE.read_text()
    assert old in text
    assert misfits(text.replace(old, new)) == found


def test_a_seed_repeats_a_schedule_and_another_seed_does_not():
    assert plan(7, 300) == plan(7, 300)
    assert [one.fault for one in plan(7, 300)] != [one.fault for one in plan(8, 300)]


@pytest.mark.parametrize("seed", range(20))
def test_five_minutes_have_every_fault_before_any_comes_again(seed):
    faults = [one.fault for one in plan(seed, 300)]
    assert set(faults[: len(FAULTS)]) == set(FAULTS)


def test_a_fault_is_short_beside_the_grace():
    assert SHORT[1] < GRACE / 4
    assert LONG[1] < GRACE / 2
    for one in plan(1, 3000):
        low, high = FAULTS[one.fault].lasting
        assert low <= one.seconds <= high


def test_a_late_acceptance_can_show_while_redis_is_in_trouble():
    family = [one for name, one in FAULTS.items() if name.startswith(("F14", "F15"))]
    assert len(family) == 8
    assert min(one.lasting[0] for one in family) > INTROSPECTION + 2


@pytest.mark.long
async def test_after_every_fault_the_world_is_whole_and_nobody_was_lost():
    async with World.of(people=0) as world:
        fleet = await Fleet.of(world.api, 4)
        fleet.sql = world.sql
        fleet.go_to(world.front_url)
        for fault in FAULTS:
            await strike(world, Planned(fault, 0.0, 1.5, seed=1))
            began = next(one for one in reversed(world.notes) if one.phase == "begins")
            took = world.notes[-1].at - began.at
            print(f"{fault}: {took:.1f} s")
            fleet.sql = world.sql
            await fleet.outlive_the_grace()
            await fleet.refresh()
            await fleet.check_one_lineage()
        await fleet.close()
