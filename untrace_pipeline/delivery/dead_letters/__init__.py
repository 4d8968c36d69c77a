"""Dead letters: what destinations did not take, kept in one SQLite database for a replay.

:class:`DeadLetterStore` is all that a storage extension, the command line or an API needs of it. Inside::

    store ─► Writer (one thread, group commit) ─► LetterFile (locks, quarantine) ─► changes, claims
          └► Reader (makes nothing, blocks nobody) ──────────────────────────────► queries

``salvage`` saves what can be read of a damaged database; ``LetterEncoding`` stands between letters and rows.
:class:`Replayer` sends letters again: the store lends each to one run at a time.
"""

from untrace_pipeline.delivery.dead_letters.claims import Replay
from untrace_pipeline.delivery.dead_letters.encoding import Cipher, without_credentials
from untrace_pipeline.delivery.dead_letters.letter import Amount, FiledLetter, LetterFilter
from untrace_pipeline.delivery.dead_letters.replayer import Progress, Replayer
from untrace_pipeline.delivery.dead_letters.store import LEASE_SECONDS, DeadLetterStore, Limits

__all__ = [
    "LEASE_SECONDS",
    "Amount",
    "Cipher",
    "DeadLetterStore",
    "FiledLetter",
    "LetterFilter",
    "Limits",
    "Progress",
    "Replay",
    "Replayer",
    "without_credentials",
]
