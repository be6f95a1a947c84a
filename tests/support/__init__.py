"""What tests share: real servers, and the people and programs that talk to keyturn.

Nothing here stands in for PostgreSQL or Valkey: `servers` runs them, once a session for everybody
(the fixtures of `conftest.py`) or privately for a test that kills, freezes or fills one.
"""
