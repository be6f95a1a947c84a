"""How long a listener waits before it tries again."""

from keyturn.db.listen import FIRST_PAUSE, LONGEST_PAUSE, pause


def test_a_pause_grows_and_has_a_limit():
    assert pause(0) <= FIRST_PAUSE
    assert pause(3) > FIRST_PAUSE
    assert all(pause(n) <= LONGEST_PAUSE for n in range(200))
    assert all(pause(n) >= LONGEST_PAUSE / 2 for n in range(10, 200))


def test_replicas_do_not_come_back_in_step():
    assert len({pause(20) for _ in range(50)}) > 10
