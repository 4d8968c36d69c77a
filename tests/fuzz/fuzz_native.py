"""Coverage-guided fuzzing of the native codec against upb: ``python tests/fuzz/fuzz_native.py -max_total_time=60``.

The first byte of an input chooses the signal and protobuf or JSON, the rest is the request; every operation of both
codecs is compared. Coverage is that of the upb codec and of the comparison: the Rust code has fuzzers of its own, in
``native/fuzz``. Options are libFuzzer's; a crash is written to the working directory as ``crash-…``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import atheris

with atheris.instrument_imports(include=["untrace_pipeline"]):
    from tests.support.codec_equality import check_codecs
    from tests.support.decoder_target import seeds


def main() -> None:
    """Run libFuzzer over the seeds."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()):
            (Path(corpus) / f"seed-{number:03}").write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], check_codecs)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
