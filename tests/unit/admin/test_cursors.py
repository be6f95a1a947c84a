import base64
import hmac

import pytest

from keyturn.admin.cursors import Cursors
from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import InvalidRequest

OLD, NEW = b"o" * 32, b"n" * 32
CURSORS = Cursors(MasterSecrets({1: OLD}))


@pytest.mark.parametrize("place", ["", "a", "7b1d", "x" * 300, "ü"])
def test_a_cursor_leads_back_to_its_place(place):
    assert CURSORS.read("users", CURSORS.make("users", place)) == place


def test_no_cursor_leads_nowhere():
    assert CURSORS.read("users", None) is None


def test_a_cursor_is_good_for_its_own_list_and_filters_only():
    cursor = CURSORS.make('users {"email":null}', "7")
    for other in ("users", "clients", 'users {"email":"a"}', "", 'users {"email":null}7'):
        with pytest.raises(InvalidRequest, match="another list"):
            CURSORS.read(other, cursor)


def test_every_changed_character_is_noticed():
    cursor = CURSORS.make("users", "7b1d")
    for at, was in enumerate(cursor[:-1]):
        for other in "A_z":
            if other != was:
                with pytest.raises(InvalidRequest):
                    CURSORS.read("users", cursor[:at] + other + cursor[at + 1 :])


@pytest.mark.parametrize("text", ["", "A", "=", "é", "AQ", "AQ==", "A" * 1025, "\ud800", "a b"])
def test_what_is_none_is_refused(text):
    with pytest.raises(InvalidRequest):
        CURSORS.read("users", text)


def test_a_cursor_under_a_secret_that_went_is_refused_and_under_one_that_came_not():
    both = Cursors(MasterSecrets({2: NEW, 1: OLD}))
    assert both.read("users", CURSORS.make("users", "7")) == "7"
    with pytest.raises(InvalidRequest, match="not one of ours"):
        CURSORS.read("users", both.make("users", "7"))


def test_the_master_secret_itself_makes_no_cursor():
    place = b"7"
    tag = hmac.digest(OLD, b"users" + place, "sha256")[:16]
    forged = base64.urlsafe_b64encode(b"\x01" + tag + place).rstrip(b"=").decode()
    with pytest.raises(InvalidRequest):
        CURSORS.read("users", forged)
