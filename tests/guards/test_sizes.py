"""Small by budget: a module is one room, a function is read aloud in one breath."""

import statistics

from support.tree import SOURCE, functions, modules

MOST_LINES = 300
MOST_FUNCTION_LINES = 50
MEDIAN_MODULE = 110
MEDIAN_FUNCTION = 10
MOST_POSITIONAL = 5


def _lines(module):
    return module.read_text(encoding="utf-8").count("\n")


def test_no_module_is_larger_than_a_room():
    sizes = {module: _lines(module) for module in modules()}
    print("largest modules:")
    for module, lines in sorted(sizes.items(), key=lambda item: -item[1])[:10]:
        print(f"{lines:5} {module.relative_to(SOURCE)}")
    assert [str(one) for one, lines in sizes.items() if lines > MOST_LINES] == []
    assert statistics.median(sizes.values()) <= MEDIAN_MODULE


def test_no_function_is_longer_than_a_screen():
    sizes = {}
    for module in modules():
        for one in functions(module):
            sizes[f"{module.relative_to(SOURCE)}:{one.name}"] = (
                (one.end_lineno or 0) - one.lineno + 1
            )
    print("longest functions:")
    for name, lines in sorted(sizes.items(), key=lambda item: -item[1])[:10]:
        print(f"{lines:5} {name}")
    assert [name for name, lines in sizes.items() if lines > MOST_FUNCTION_LINES] == []
    assert statistics.median(sizes.values()) <= MEDIAN_FUNCTION


def test_no_function_takes_more_positional_parameters_than_can_be_remembered():
    too_many = []
    for module in modules():
        if module.parent.name == "cli":
            continue  # one parameter an option, always given by name
        for one in functions(module):
            names = [arg.arg for arg in one.args.posonlyargs + one.args.args]
            if len([name for name in names if name not in {"self", "cls"}]) > MOST_POSITIONAL:
                too_many.append(f"{module.relative_to(SOURCE)}:{one.name}")
    assert too_many == []
