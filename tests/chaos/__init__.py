"""The chaos run: a whole deployment, everything that can go wrong with it, and the people on it.

`world` is the deployment, `faults` breaks it and mends it, `schedule` says when.
"""
