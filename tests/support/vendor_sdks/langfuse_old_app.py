"""The same application with Langfuse 2: events, by clients and decorators, and what it says last of its traces."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from langfuse import Langfuse
from langfuse.decorators import langfuse_context, observe

langfuse = Langfuse()
if not langfuse.auth_check():
    sys.exit("the keys are wrong")

trace = langfuse.trace(id="my own trace", name="ask", user_id="u1", metadata={"team": "north"}, tags=["blue"])
handler = trace.span(name="handler", input={"q": "why"})
call = handler.generation(
    name="llm", model="gpt-4o-mini", model_parameters={"temperature": 0.5}, input=[{"role": "user", "content": "why"}]
)
langfuse.flush()  # so that begins and ends are in different requests
begun = datetime.now(UTC)
call.end(
    output={"role": "assistant", "content": "so"},
    usage={"prompt_tokens": 5, "completion_tokens": 2},
    completion_start_time=begun + timedelta(seconds=1),
    end_time=begun + timedelta(seconds=2),
)
handler.event(name="noticed", level="ERROR", status_message="not found")
handler.end(output={"a": "so"})
call.score(name="helpful", value=0.5, comment="fine")
trace.update(session_id="s1", output={"a": "so"})
langfuse.flush()


@observe(as_type="generation", name="decorated_llm")
def ask(question: str) -> str:
    langfuse_context.update_current_observation(model="gpt-4o-mini", usage_details={"input": 7, "output": 1})
    return "so"


@observe(name="decorated")
def handle(question: str) -> str:
    answer = ask(question)
    langfuse_context.update_current_trace(name="second", user_id="u2", tags=["red"])
    return answer


handle("why")
langfuse_context.flush()
langfuse.shutdown()
