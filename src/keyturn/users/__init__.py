"""Users: accounts, how people prove who they are, and what slows guessing down.

`model`            a user; `sub` is the user's id, which is never given to anybody else
`email`            the one parser of e-mail addresses: as entered, and the key that is unique
`accounts`         add, list, disable, enable, delete, new password, log out everywhere
`changes`          an operator changes name, address, state
`authenticate`     e-mail and password against an account, at the same price for everybody
`passwords`        argon2id (RFC 9106), rehashed when parameters change; `password_text`: which ones
`failure_floor`    every failed check takes as long as the dearest hash that was met
`hash_pool`        as many hashes at once as cores; a bounded queue, a deadline
`foreign_hashes`   bcrypt, pbkdf2 and scrypt of imported accounts, within bounds of cost
`throttle`         guessing limits: per account, per address, altogether (`throttle_*.lua`)
`throttle_memory`  the same limits inside the process, while Redis is away
`import_users`     JSON lines of another system

Behind `/auth/login`, `/auth/reauthenticate`, `/auth/password`, `/auth/logout-all`, `/auth/me` and
`keyturn users`. Closing an account updates the user first and ends sessions in the same
transaction. Never here: HTTP, tokens, an e-mail address in Redis, a password in a message.
"""
