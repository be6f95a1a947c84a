"""The programs of load-tests, as modules: they find each other beside themselves, as when they run."""

import importlib
import sys
from types import ModuleType

from support.tree import ROOT

FOLDER = str(ROOT / "load-tests")


def load_program(name: str) -> ModuleType:
    """Import one; its neighbours are found while it loads, and not afterwards."""
    sys.path.insert(0, FOLDER)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(FOLDER)
