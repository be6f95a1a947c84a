"""The master secret of `keyturn dev`: made once, whole, and for our eyes only."""

from pathlib import Path

import pytest

from keyturn.dev.master_secret import read_or_make


def test_it_is_made_once_and_read_ever_after(tmp_path):
    made = read_or_make(tmp_path)
    assert made.startswith("1: ")
    assert read_or_make(tmp_path) == made
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_start_killed_before_the_end_of_writing_leaves_nothing_to_the_next(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            read_or_make(tmp_path)
    assert not (tmp_path / "secrets").exists()
    assert read_or_make(tmp_path).startswith("1: ")


def test_an_empty_file_of_an_earlier_release_is_made_good(tmp_path):
    (tmp_path / "secrets").touch()
    assert read_or_make(tmp_path).startswith("1: ")
