"""`python -m tests.support.llm_upstream --port 8800`: the stand-in as a process, until it is interrupted."""

from __future__ import annotations

import argparse
import signal

from tests.support.llm_upstream.server import LlmUpstream


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.llm_upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 = a free one")
    with LlmUpstream(port=parser.parse_args().port, keep=False) as upstream:
        print(upstream.url, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
