"""Real clients of LLM providers, each in a process of its own that makes the calls it is told to.

They run in the environment that `make peers` builds (`tests/support/peers/llm_clients`), not in the one of the tests.
`process.py` is the tests' side; the other modules are the clients' side, and `driver.py` what these share.
"""
