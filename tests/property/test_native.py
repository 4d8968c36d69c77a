"""The native codec does what the upb codec does: every operation, on requests of every form."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.codec_equality import assert_equal_codecs, meaning, outcome
from tests.support.decoder_target import seeds
from tests.support.otlp_oddities import mutated, oddly_encoded, with_unknown_fields
from tests.support.otlp_strategies import any_signal_requests
from untrace_pipeline.data import Signal
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.testing.generate import make_request

pytest.importorskip("untrace_pipeline_native", reason="the native codec is not installed (make native)")
import untrace_pipeline_native as extension

from untrace_pipeline.data.codecs.native import NativeCodec

pytestmark = pytest.mark.timeout(600)
UPB, NATIVE = UpbCodec(), NativeCodec()
CASES = Path(__file__).parent / "cases"
relaxed = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
Request = tuple[Signal, Message]
randoms = st.integers(0, 2**32).map(random.Random)


def check(signal: Signal, data: bytes, rng: random.Random) -> bool:
    """Compare both codecs; answer whether the request is valid."""
    return assert_equal_codecs(UPB, NATIVE, signal, data, rng)


@relaxed
@given(any_signal_requests(), randoms)
def test_requests_of_encoders(request: Request, rng: random.Random) -> None:
    """Whatever an encoder writes, every operation gives the same."""
    signal, message = request
    assert check(signal, message.SerializeToString(), rng)


@relaxed
@given(any_signal_requests(unknown=False), randoms)
def test_unknown_fields_at_every_level(request: Request, rng: random.Random) -> None:
    """Fields of a later version are kept and moved alike, wherever they stand; the native codec takes them itself."""
    signal, message = request
    data = with_unknown_fields(REQUESTS[signal].DESCRIPTOR, message.SerializeToString(), rng)
    assert check(signal, data, rng)
    assert extension.decode(signal, data) is not None


@relaxed
@given(any_signal_requests(), randoms, st.sampled_from([0.02, 0.1, 0.3]))
def test_odd_encodings(request: Request, rng: random.Random, rate: float) -> None:
    """Odd encodings mean the same to both, or are refused by both."""
    signal, message = request
    check(signal, oddly_encoded(REQUESTS[signal].DESCRIPTOR, message.SerializeToString(), rng, rate), rng)


@relaxed
@given(any_signal_requests(), randoms)
def test_damaged_bytes(request: Request, rng: random.Random) -> None:
    """So do bytes that were damaged."""
    signal, message = request
    check(signal, mutated(message.SerializeToString(), rng), rng)


@relaxed
@given(any_signal_requests(unknown=False), randoms)
def test_damaged_json(request: Request, rng: random.Random) -> None:
    """JSON that was damaged is read alike, or refused by both."""
    signal, message = request
    text = mutated(UPB.to_json(signal, message.SerializeToString()), rng)
    found = [outcome(codec.from_json, signal, text) for codec in (UPB, NATIVE)]
    assert meaning(signal, found[0]) == meaning(signal, found[1])


@pytest.mark.parametrize("number", range(len(seeds())))
def test_seeds_of_the_fuzzer(number: int) -> None:
    """The bodies that parsers like to trip over."""
    body = seeds()[number]
    for signal in Signal:
        check(signal, body[1:], random.Random(number))


@pytest.mark.parametrize("case", sorted(CASES.glob("*.bin")), ids=lambda path: path.stem)
def test_inputs_that_once_differed(case: Path) -> None:
    """What fuzzing has found stays mended; the name begins with the signal."""
    for seed in range(20):
        check(Signal(case.stem.partition("-")[0]), case.read_bytes(), random.Random(seed))


@pytest.mark.parametrize("signal", list(Signal))
def test_large_requests(signal: Signal) -> None:
    """Requests above the size at which the GIL is released."""
    data = make_request(signal, 300, resources=3, attributes={"a": "x" * 500}).SerializeToString()
    assert len(data) > 1 << 17
    for seed in range(5):
        assert check(signal, data, random.Random(seed))


@pytest.mark.parametrize("signal", list(Signal))
def test_what_encoders_write_is_decoded_natively(signal: Signal) -> None:
    """The equality above would mean little if the native codec left the work to the other one."""
    data = make_request(signal, 50, resources=2, attributes={"a": [1, {"b": b"x"}]}).SerializeToString()
    assert extension.count(signal, data) == 50
    assert extension.decode(signal, data) is not None
    text = extension.to_json(signal, data)
    assert text is not None
    assert extension.from_json(signal, text) is not None
