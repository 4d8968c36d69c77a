"""An application that is traced with LangSmith: an agent with a model, tools, a stream, an error, feedback."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from langsmith import Client, get_current_run_tree, traceable
from langsmith.schemas import Attachment

client = Client()
MODEL = {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini", "ls_temperature": 0.5}


@traceable(run_type="llm", name="ask_model", metadata=MODEL, client=client)
def ask_model(messages: list[Any]) -> dict[str, Any]:
    return {
        "choices": [{"message": {"role": "assistant", "content": "Sunny."}, "finish_reason": "stop"}],
        "usage_metadata": {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14},
    }


@traceable(run_type="tool", name="weather", client=client)
async def weather(city: str) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"city": city, "sky": "clear"}


@traceable(run_type="llm", name="stream_model", metadata=MODEL, client=client, reduce_fn="".join)
def stream_model(messages: list[Any]) -> Iterator[str]:
    yield "a"
    yield "b"


@traceable(run_type="chain", name="fails", client=client)
def fails() -> None:
    raise ValueError("no luck today")


@traceable(run_type="chain", name="agent", tags=["blue"], metadata={"session_id": "s1", "user_id": "u1"}, client=client)
async def agent(question: str, notes: Attachment) -> dict[str, Any]:
    client.flush()  # so that begin and end of this run are far apart
    await asyncio.gather(*(weather(city) for city in ("Rome", "Oslo", "Kyiv")))
    ask_model([{"role": "user", "content": question}])
    list(stream_model([{"role": "user", "content": question}]))
    with contextlib.suppress(ValueError):
        fails()
    return {"answer": "Sunny.", "run": str(get_current_run_tree().id)}


answer = asyncio.run(agent("Weather?", Attachment(mime_type="text/plain", data=b"notes")))
client.flush()
client.create_feedback(answer["run"], key="helpful", score=1, comment="yes", trace_id=answer["run"])
client.flush()
client.close()
sys.stdout.write(answer["run"])
