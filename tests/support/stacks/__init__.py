"""Other people's software, set up as `docs/verify` says, in front of an API.

A page of `docs/verify` holds files, each after a comment that names it, and a table of requests and
answers. `page` reads both, `world` is the issuer and every token of that table, and each of the
other rooms starts one program with the files of its page.
"""
