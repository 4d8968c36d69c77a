"""An application that is traced with Langfuse 5: OTLP, a picture, a score."""

from __future__ import annotations

import base64
import sys

from langfuse import Langfuse, propagate_attributes

langfuse = Langfuse()
if not langfuse.auth_check():
    sys.exit("the keys are wrong")
PICTURE = "data:image/png;base64," + base64.b64encode(b"no picture").decode()
ASKED = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}]

with (
    langfuse.start_as_current_observation(as_type="span", name="handler", input={"q": "why"}) as handler,
    propagate_attributes(user_id="u1", session_id="s1", tags=["blue"], metadata={"team": "north"}),
):
    with langfuse.start_as_current_observation(
        as_type="generation", name="llm", model="gpt-4o-mini", input=ASKED
    ) as call:
        call.update(output={"role": "assistant", "content": "so"}, usage_details={"input": 5, "output": 2})
    with langfuse.start_as_current_observation(as_type="tool", name="lookup", input={"key": 1}) as tool:
        tool.update(output={"value": 2}, level="ERROR", status_message="not found")
    handler.update(output={"a": "so"})
    handler.score(name="helpful", value=0.5, comment="fine")
langfuse.flush()
langfuse.shutdown()
