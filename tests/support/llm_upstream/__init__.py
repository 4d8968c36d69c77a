"""A stand-in for OpenAI, Azure OpenAI, Anthropic, Cohere and Gemini: realistic answers, their truth, faults on demand.

    with LlmUpstream() as upstream:
        client = OpenAI(base_url=f"{upstream.url}/v1", api_key="sk-test")
        ...
        upstream.last       # what came, byte for byte
        upstream.truth()    # what a span of it has to say

`python -m tests.support.llm_upstream --port 8800` runs it as a process. An API key with `invalid` in it gets 401.
"""

from tests.support.llm_upstream.ask import Ask, Recorded, ask_of
from tests.support.llm_upstream.faults import FAULT_HEADER, FAULTS, Fault
from tests.support.llm_upstream.reply import Reply, reply_to
from tests.support.llm_upstream.server import LlmUpstream
from tests.support.llm_upstream.truth import ToolCall, Truth, truth_of

__all__ = [
    "FAULTS",
    "FAULT_HEADER",
    "Ask",
    "Fault",
    "LlmUpstream",
    "Recorded",
    "Reply",
    "ToolCall",
    "Truth",
    "ask_of",
    "reply_to",
    "truth_of",
]
