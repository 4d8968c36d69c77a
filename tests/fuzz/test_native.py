"""The fuzzer's target over its corpus and over simple mutations of it."""

from __future__ import annotations

import random

import pytest

from tests.support.codec_equality import check_codecs
from tests.support.decoder_target import seeds
from tests.support.otlp_oddities import mutated

pytest.importorskip("untrace_pipeline_native", reason="the native codec is not installed (make native)")


@pytest.mark.parametrize("number", range(len(seeds())))
def test_codecs_agree_on_seeds_and_mutations(number: int) -> None:
    """Both codecs make the same of each input of the corpus, and of damaged ones, as protobuf and as JSON."""
    body, rng = seeds()[number], random.Random(number)
    check_codecs(body)
    for _ in range(20):
        check_codecs(body[:1] + mutated(body[1:], rng))
