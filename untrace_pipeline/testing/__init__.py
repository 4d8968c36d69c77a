"""Public test kit for plugin authors; the built-in components are tested with the same.

``sinks``: consumers that record or refuse. ``generate``: realistic OTLP requests. ``host``: settings and a host without
an engine. ``clock``: an event loop whose time jumps, so that a test of five minutes of retries takes a millisecond.
``contracts``: the conformance suite that every registered component passes.
"""

from untrace_pipeline.testing.clock import run_with_fake_clock
from untrace_pipeline.testing.contracts import ContractError, Send, check_component
from untrace_pipeline.testing.generate import make_batch, make_request
from untrace_pipeline.testing.host import RecordingMeter, StubHost, make_settings
from untrace_pipeline.testing.sinks import BlockingSink, FailingSink, Sink

__all__ = [
    "BlockingSink",
    "ContractError",
    "FailingSink",
    "RecordingMeter",
    "Send",
    "Sink",
    "StubHost",
    "check_component",
    "make_batch",
    "make_request",
    "make_settings",
    "run_with_fake_clock",
]
