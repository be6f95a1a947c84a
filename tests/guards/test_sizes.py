"""Small by budget: a module is one room, a function is read aloud in one breath."""

import statistics

import pytest

from support.tree import SOURCE, VERIFIER, functions, sources

MOST_LINES = 300
MOST_FUNCTION_LINES = 50
MEDIAN_MODULE = 110
MEDIAN_FUNCTION = 10
MOST_POSITIONAL = 5

of_each_package = pytest.mark.parametrize("package", [SOURCE, VERIFIER], ids=lambda one: one.name)


def module_lines(tree):
    return {name: source.count("\n") for name, source in tree.items()}


def function_lines(tree):
    return {
        f"{name}:{one.name}": (one.end_lineno or 0) - one.lineno + 1
        for name, source in tree.items()
        for one in functions(source)
    }


def oversized(sizes, most, median):
    """Name what is too large, and the median when that is."""
    middle = statistics.median(sizes.values())
    too_large = [f"{name}: {lines} lines" for name, lines in sizes.items() if lines > most]
    return too_large + [f"the median: {middle} lines"] * (middle > median)


def unmemorable(tree):
    """Name the functions with more positional parameters than can be remembered."""
    return [
        f"{name}:{one.name}"
        for name, source in tree.items()
        if not name.startswith("cli/")  # one parameter an option, always given by name
        for one in functions(source)
        if one.name != "redirect_request"  # as urllib calls it
        if len(
            [a for a in one.args.posonlyargs + one.args.args if a.arg not in {"self", "cls"}]
        ) > MOST_POSITIONAL
    ]  # fmt: skip


@of_each_package
def test_no_module_is_larger_than_a_room(package):
    sizes = module_lines(sources(package))
    print("largest modules:")
    for name, lines in sorted(sizes.items(), key=lambda item: -item[1])[:10]:
        print(f"{lines:5} {name}")
    assert oversized(sizes, MOST_LINES, MEDIAN_MODULE) == []


@of_each_package
def test_no_function_is_longer_than_a_screen(package):
    sizes = function_lines(sources(package))
    print("longest functions:")
    for name, lines in sorted(sizes.items(), key=lambda item: -item[1])[:10]:
        print(f"{lines:5} {name}")
    assert oversized(sizes, MOST_FUNCTION_LINES, MEDIAN_FUNCTION) == []


@of_each_package
def test_no_function_takes_more_positional_parameters_than_can_be_remembered(package):
    assert unmemorable(sources(package)) == []


DOOR = "class Room:\n    async def door(self, a, b, c, d, e, f):\n"
BLOATED = {"a.py": DOOR + 300 * "        a\n"}


@pytest.mark.parametrize(
    ("complaints", "expected"),
    [
        (oversized(module_lines(BLOATED), MOST_LINES, 400), ["a.py: 302 lines"]),
        (oversized(module_lines(BLOATED), 400, MEDIAN_MODULE), ["the median: 302 lines"]),
        (oversized(function_lines(BLOATED), MOST_FUNCTION_LINES, 400), ["a.py:door: 301 lines"]),
        (oversized(function_lines(BLOATED), 400, MEDIAN_FUNCTION), ["the median: 301 lines"]),
        (unmemorable(BLOATED), ["a.py:door"]),
        (unmemorable({"cli/a.py": DOOR + "        a\n"}), []),
    ],
)
def test_what_is_too_large_is_named(complaints, expected):
    assert complaints == expected
