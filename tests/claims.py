"""Which test shows which claim: write docs/claims.md, or say what is wrong with it.

    .venv/bin/python tests/claims.py [--write]

The claims stand in claims.yaml, in our words; which tests show them, the tests say themselves.
"""

import argparse
import sys

from support.claims import Evidence, Group, astray, page, read, silent, unclaimed
from support.named_tests import all_tests
from support.tree import ROOT, text

PAGE = "docs/claims.md"
CLAIMS = "tests/claims.yaml"


def complaints(groups: list[Group], evidence: Evidence) -> list[str]:
    """Return what must be mended in the claims or in the tests; writing the page mends the rest."""
    return [
        *(f"{one}: a test names it, {CLAIMS} does not" for one in unclaimed(groups, evidence)),
        *(f"{one}: there is no such claim" for one in astray(groups)),
        *(f"{one}: either a test or a reason, not both" for one in silent(groups, evidence)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare docs/claims.md with claims and tests.")
    parser.add_argument("--write", action="store_true", help="write the page")
    asked = parser.parse_args()
    groups, evidence = read(text(CLAIMS)), Evidence(all_tests())
    wrong = complaints(groups, evidence)
    written = page(groups, evidence)
    if asked.write:
        (ROOT / PAGE).write_text(written, encoding="utf-8")
    elif written != text(PAGE):
        wrong.append(f"{PAGE} is not what `tests/claims.py --write` writes")
    for one in wrong:
        print(one, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
