"""Coverage-guided fuzzing of the configuration loader: ``python tests/fuzz/fuzz_config.py -max_total_time=60``.

Options are libFuzzer's. Corpus and dictionary are made at start in a temporary directory; a crash is written to the
working directory as ``crash-…``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import atheris

with atheris.instrument_imports(include=["untrace_pipeline.config"]):
    from tests.support.config_target import check_config, seeds, words


def main() -> None:
    """Run libFuzzer over the seeds."""
    with tempfile.TemporaryDirectory() as directory:
        corpus, dictionary = Path(directory) / "corpus", Path(directory) / "words"
        corpus.mkdir()
        for number, seed in enumerate(seeds()):
            (corpus / f"seed-{number:03}").write_bytes(seed)
        lines = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in words())
        dictionary.write_text("".join(f'"{line}"\n' for line in lines))
        atheris.Setup([*sys.argv, f"-dict={dictionary}", "-timeout=10", str(corpus)], check_config)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
