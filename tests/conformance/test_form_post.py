"""`oidcc-formpost-basic-certification-test-plan`: the Basic plan's modules by form post."""

from support.conformance_modules import BasicModules


class TestFormPost(BasicModules):
    response_mode = "form_post"
