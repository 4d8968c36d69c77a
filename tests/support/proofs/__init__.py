"""Proofs that destinations get what they should: the daemon as a process, real servers, and what they say they have.

`make test-destinations` runs all of them and prints a table; `tests/integration/destinations` runs them one by one.
A `Place` is a destination that can be asked what it has; `prove(place)` sends to it and answers a `Row`.
"""
