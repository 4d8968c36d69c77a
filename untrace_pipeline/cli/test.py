"""``test``: runs the ``tests:`` blocks of a configuration."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass

from untrace_pipeline.cli.expect import differences
from untrace_pipeline.cli.trial import InputError, Trial
from untrace_pipeline.config.loader import load
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.config.test_blocks import ConfigTest
from untrace_pipeline.errors import UntraceError
from untrace_pipeline.testing import run_with_fake_clock

__all__ = ["execute"]


@dataclass(frozen=True, slots=True)
class _Result:
    name: str
    passed: bool
    failures: list[str]


def execute(arguments: argparse.Namespace) -> int:
    """Run the tests, print what failed; 1 if one failed, 2 if there is none."""
    spec = load(arguments.config, arguments.set).spec
    tests = [ConfigTest.model_validate(dict(block)) for block in spec.tests]
    chosen = [test for test in tests if arguments.filter in test.name]
    if not chosen:
        what = (
            f"none of {len(tests)} tests has {arguments.filter!r} in its name" if tests else "there is no tests: block"
        )
        print(f"untrace-pipeline test: {what}; see docs/config-tests.md", file=sys.stderr)
        return 2
    results = [_run(spec, test) for test in chosen]
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False))
    else:
        _print(results)
    return 0 if all(result.passed for result in results) else 1


def _run(spec: ServiceSpec, test: ConfigTest) -> _Result:
    try:
        trial = Trial(spec, test.inputs, test.pipeline)
        failures = run_with_fake_clock(trial.run())
        for output, expected in test.output.items():
            failures += [f"{output}: {text}" for text in differences(expected, trial.arrived(output))]
    except (InputError, UntraceError) as error:
        failures = [str(error)]
    return _Result(test.name, not failures, failures)


def _print(results: list[_Result]) -> None:
    for result in results:
        print(f"{'ok  ' if result.passed else 'FAIL'}  {result.name}")
        for failure in result.failures:
            print(f"      {failure}")
    failed = sum(not result.passed for result in results)
    print(f"\n{len(results) - failed} passed, {failed} failed")
