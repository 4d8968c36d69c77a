"""Coverage-guided fuzzing of the OTLP decoders: ``python tests/fuzz/fuzz_decoders.py -max_total_time=60``.

The first byte of an input chooses signal and form, the rest is the request. Options are libFuzzer's. The corpus is made
at start in a temporary directory; a crash is written to the working directory as ``crash-…``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import atheris

with atheris.instrument_imports(include=["untrace_pipeline"]):
    from tests.support.decoder_target import check_decoders, seeds
    from untrace_pipeline.data.codecs import active_codec

    active_codec()  # imports the codec while imports are instrumented


def main() -> None:
    """Run libFuzzer over the seeds."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()):
            (Path(corpus) / f"seed-{number:03}").write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], check_decoders)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
