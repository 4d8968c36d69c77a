"""Helicone's own logger logs calls that somebody else describes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from helicone_helpers import HeliconeManualLogger

logger = HeliconeManualLogger("sk-helicone-test", logging_endpoint=os.environ["HELICONE"])
for call in json.loads(Path(os.environ["CALLS"]).read_text()):
    logger.send_log(
        call["provider"],
        call["request"],
        call["response"],
        {
            "start_time": call["start"],
            "end_time": call["end"],
            "time_to_first_token_ms": call["first"],
        },
    )
