"""Several worker processes on one machine as one service: ``service.workers`` (docs/decisions/0011-workers.md).

The supervisor knows processes, not components: it starts workers, restarts those that die, reloads one after the
other, and shows metrics and health of all as one. Each worker is a fresh interpreter that runs the same graph.
"""
