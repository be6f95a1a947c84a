"""What has been made for a caller whose answer may have been lost: nothing is made twice.

`once`       one request that creates something, and the key its caller repeats it under
`creations`  notes it in the transaction that creates, or says what came of it before

Kept for a day, in PostgreSQL: a note that a cache may lose would be a second client, or a second
account, when it matters. Neither the request nor a secret is stored (`once` says how that works).
"""
