"""One server for every plan that needs no special one; a person and a browser for every module."""

import pytest

pytest.register_assert_rewrite("support.conformance", "support.conformance_modules", "support.fapi")

from support.browserless import Browserless  # noqa: E402 - rewritten from here on
from support.conformance import Provider, Run  # noqa: E402
from support.tree import spans, table, text  # noqa: E402

PAGE = "tests/conformance/README.md"


@pytest.fixture(scope="module")
async def provider(api):
    return await Provider.of(api)


@pytest.fixture
async def run(provider, request, record_property):
    """A run of the module the test is named after; it ends with the warnings the page tells."""
    kind = getattr(request.module, "RUN", Run)
    mode = getattr(request.cls, "response_mode", "query")
    one = kind(provider, mode, await provider.api.person(), Browserless(provider.api))
    yield one
    module = request.node.originalname.removeprefix("test_").replace("_", "-")
    for sentence in one.warnings:
        record_property("warning", sentence)
        print(f"{module}: warning: {sentence}")
    rows = [row for row in table(text(PAGE), "## Warnings") if spans(row[0])]
    told = {spans(row[0])[0].replace("_", "-"): row[1] for row in rows}
    assert "; ".join(one.warnings) == told.get(module, "")
