from keyturn.creations.once import Once
from keyturn.crypto.secrets import MasterSecrets

SECRETS = MasterSecrets({2: b"n" * 32, 1: b"o" * 32})
SALT = bytes(32)


def once(caller="ops", key="k", request=b"POST /users\n{}", secrets=SECRETS):
    return Once.of(secrets, caller, key, request)


def test_callers_and_keys_have_notes_of_their_own():
    ids = {
        one.id for one in (once(), once("other"), once(key="l"), once("opsk", ""), once("op", "sk"))
    }
    assert len(ids) == 5
    assert once(request=b"another").id == once().id


def test_a_request_is_recognised_under_each_secret_and_another_is_not():
    for secret_id in SECRETS.ids:
        assert once().fingerprint(secret_id) == once().fingerprint(secret_id)
        assert once(request=b"another").fingerprint(secret_id) != once().fingerprint(secret_id)
    assert once().fingerprint(1) != once().fingerprint(2)


def test_a_secret_takes_the_salt_the_key_and_the_master_secret():
    others = (
        once().secret(1, SALT),
        once().secret(2, b"s" * 32),
        once(key="l").secret(2, SALT),
        once(secrets=MasterSecrets({2: b"x" * 32})).secret(2, SALT),
    )
    assert once().secret(2, SALT) == once().secret(2, SALT)
    assert once().secret(2, SALT) not in others
    assert len(once().secret(2, SALT)) == 43


def test_nothing_secret_is_shown():
    assert "POST" not in repr(once())
    assert "nnnn" not in repr(once())
