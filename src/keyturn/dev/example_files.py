"""Where the examples are that `keyturn dev` runs: inside the wheel, else in the checkout."""

from pathlib import Path

HERE = Path(__file__).parent
PACKED = HERE / "examples"
CHECKOUT = HERE.parents[2]


def api() -> Path:
    """Return the folder of the example API's `main.py`."""
    return _first(PACKED / "api", CHECKOUT / "examples/api")


def demo() -> Path:
    """Return the folder of the built demo: `index.html` and its assets."""
    return _first(PACKED / "vue/built", CHECKOUT / "examples/vue/built")


def verifier() -> Path:
    """Return the folder to import `keyturn_verifier` from."""
    return _first(PACKED / "packages", CHECKOUT / "packages/verifier/src")


def _first(*folders: Path) -> Path:
    return next(folder for folder in folders if folder.exists())
