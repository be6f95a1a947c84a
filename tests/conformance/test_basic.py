"""`oidcc-basic-certification-test-plan`, a test a module."""

from support.conformance_modules import BasicModules


class TestBasic(BasicModules):
    response_mode = "query"
