"""What is good once: ids of client assertions (RFC 7523) and of DPoP proofs (RFC 9449).

`replays`  remember that an id was used, until whatever carried it has expired

PostgreSQL remembers, not Redis: a cache that was wiped would let every replay of the last minutes
through, and these ids guard what a thief has already seen.
"""
