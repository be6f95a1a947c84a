"""The picture shows what the verdict says, and can be read without colour."""

from xml.etree import ElementTree as ET

from chaos.history import Event
from chaos.judge import judge
from chaos.promises import Promises
from chaos.timeline import BAD, GOOD, draw

SVG = "{http://www.w3.org/2000/svg}"


def answered(at, status=200, given=1):
    return Event(
        at=at, began=at - 0.1, kind="refresh", app="app 1", session="s1", generation=0,
        given=given if status == 200 else -1, token="t", status=status,
    )  # fmt: skip


def fault(at, what, name="F1"):
    return Event(at=at, began=at, kind="fault", fault=name, error=what)


def drawn(events):
    picture = draw("A <run>", events, judge(events, Promises()), {"F1": "Power & light lost"})
    return ET.fromstring(picture)


def words(picture):
    return ["".join(one.itertext()) for one in picture.iter(f"{SVG}text")]


def boxes(picture, fill):
    return [one for one in picture.iter(f"{SVG}rect") if one.get("fill") == fill]


EVENTS = [
    *(answered(at) for at in range(1, 10)), fault(10, "begins"), answered(11, 503),
    answered(13, 0), fault(14, "ends"), *(answered(at) for at in range(15, 30)),
]  # fmt: skip


def test_it_names_the_run_the_zeros_and_each_fault():
    said = words(drawn(EVENTS))
    assert "A <run>" in said
    assert any(one.startswith("sign-ins lost: 0, double lineages: 0") for one in said)
    assert "Power & light lost  F1" in said
    assert "2 failed in 2.0 s" in said


def test_a_fault_that_cost_nothing_says_so():
    assert "no error" in words(drawn([answered(1), fault(2, "begins"), fault(3, "ends")]))


def test_failures_are_hatched_and_not_only_red():
    picture = drawn(EVENTS)
    hatched = boxes(picture, "url(#bad)")
    assert len(hatched) == 3  # two stretches with failures, and the legend
    assert picture.find(f".//{SVG}pattern[@id='bad']") is not None
    assert BAD not in {one.get("fill") for one in picture.iter() if one.tag != f"{SVG}rect"}
    assert boxes(picture, GOOD)


def test_lines_of_one_panel_differ_by_their_dashes():
    dashes = [one.get("stroke-dasharray") for one in drawn(EVENTS).iter(f"{SVG}polyline")]
    assert {None, "2 3"} <= set(dashes)


def test_a_run_in_which_nothing_happened_can_be_drawn():
    assert drawn([]).tag == f"{SVG}svg"
