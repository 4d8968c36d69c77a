"""`python -m tests.support.proofs [--page] [NAME …]`: send to destinations, ask them, and print what they have.

The table is kept in `out/destinations.md`; `--page` writes `docs/destinations-proven.md` as well.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.support.peers import PeerUnavailable
from tests.support.proofs.places.catalog import PLACES
from tests.support.proofs.proof import prove
from tests.support.proofs.run import Row
from tests.support.proofs.table import Skipped, as_markdown, as_text
from tests.support.proofs.traffic import CAPTURES, LARGE, LIMIT_BYTES, traffic

ROOT = Path(__file__).resolve().parents[3]
OUT, PAGE = ROOT / "out" / "destinations.md", ROOT / "docs" / "destinations-proven.md"

HEAD = """\
# Destinations, proven

What `make test-destinations` saw on {date}: the daemon as a process sends to each destination, one after the other,
and the destination is asked for what it has. A peer with a version is the real program; `contract` is a server of
`tests/support/destinations` that goes by the rules of the platform's maker, which cannot run here.

- **sent, arrived**: the spans of {captures} captures of released instrumentations, and of an agent's trace. All arrive,
  each once, but for what a platform has no use for (`filtered` in the ledger).
- **model, messages, tokens, cost, session, error**: of the calls that have them, in how many they are read back equal,
  where the platform reads them. Messages are inputs, outputs and tool calls; sessions are sessions and users. `cut` are
  those in values that are longer than the platform keeps: shortened before, and marked.
- **busy**: the first request meets 429 with `Retry-After`, the second one 503; nothing is lost or there twice.
- **too large**: {large} more spans come in one request to a server that takes {limit} kB, and one that is larger alone.
  Requests are halved until they fit, and that one is given up and counted.
- **-**: there is none. Files and scrapes refuse nothing; what gRPC and Kafka refuse is tested in
  `tests/unit/plugins/exporters` and `tests/integration/kafka`. Of metrics, sums over all calls are compared.
- **ledger**: what became of every span that the exporter accepted.
- **proven**: whether all of that held.

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proofs; 1 when one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.proofs", description=__doc__)
    parser.add_argument("names", nargs="*", help="destinations; all of them by default")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(PLACES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PLACES)}")
    rows, skipped = _run(chosen.names or list(PLACES))
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    page = HEAD.format(date=date, captures=len(CAPTURES), large=LARGE, limit=LIMIT_BYTES // 1000) + as_markdown(rows)
    page += "".join(f"\n{one.destination} was not asked: {one.reason}.\n" for one in skipped)
    for path in (OUT, PAGE) if chosen.page else (OUT,):
        path.parent.mkdir(exist_ok=True)
        path.write_text(page, encoding="utf-8")
    sys.stdout.write(as_text(rows, skipped))
    return int(any(row.wrong for row in rows))


def _run(names: Sequence[str]) -> tuple[list[Row], list[Skipped]]:
    sent = traffic()
    rows: list[Row] = []
    skipped: list[Skipped] = []
    for name in names:
        started = time.monotonic()
        try:
            rows.append(prove(PLACES[name](), sent))
        except PeerUnavailable as reason:
            skipped.append(Skipped(name, str(reason)))
        except Exception as error:  # noqa: BLE001 - the other proofs go on
            rows.append(Row(name, "?", wrong=[f"{type(error).__name__}: {error}"[-2000:]]))
        said = "".join(rows[-1].wrong)[:200] if rows and rows[-1].destination == name else "not asked"
        sys.stderr.write(f"{name}: {time.monotonic() - started:.0f} s {said}\n")
    return rows, skipped


if __name__ == "__main__":
    sys.exit(main())
