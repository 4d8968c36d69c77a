"""`python -m benchmarks`: measure the daemon and the Collector under the same load and print a table."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.loadtool import Sink, loadgen_binary
from benchmarks.measure import QUICK, SUBJECTS, Durations, measure, measure_idle, measure_overload, output_of
from benchmarks.report import environment, markdown, scenario_row, write_results
from benchmarks.scenarios import SCENARIOS, Overload, Scenario
from tests.support.peers import PeerProcessError, PeerUnavailable, collector_binary, daemon_command
from tests.support.peers.canonical import describe_difference

RESULTS = Path(__file__).parent / "results"
EXIT_FAILED, EXIT_USAGE, EXIT_PEER_SKIPPED = 1, 2, 3
PARTS = ("scenarios", "idle", "overload", "failures")
EXTRA = ("idle", "overload")
OVERLOAD_SCENARIO = next(scenario for scenario in SCENARIOS if scenario.name == "pass-through grpc, 10/request")


@dataclass
class Bench:
    """One run of the benchmark: what is measured, and the results so far."""

    subjects: Sequence[str]
    durations: Durations
    payloads: Path
    results: dict[str, Any] = field(default_factory=lambda: {part: {} for part in PARTS})

    def _try(self, label: str, action: Callable[..., Any], *arguments: Any) -> Any:
        """Run one measurement; a failure is reported and the others go on."""
        try:
            return action(*arguments)
        except (PeerProcessError, subprocess.SubprocessError, OSError, ValueError) as error:
            self.results["failures"][label] = str(error)[-1500:]
            print(f"  {label} failed: {error}", file=sys.stderr)
            return None

    def scenario(self, scenario: Scenario) -> None:
        """Measure one scenario: rounds that alternate between the daemons, after a comparison of their output."""
        result: dict[str, Any] = {subject: [] for subject in self.subjects}
        self.results["scenarios"][scenario.name] = result
        if scenario.compare_output and len(self.subjects) == len(SUBJECTS):
            result["same_output"] = self._compare(scenario)
        with Sink() as sink:
            for subject in [*self.subjects] * self.durations.rounds:
                label = f"{scenario.name}, {subject}"
                run = self._try(label, measure, subject, scenario, self.durations, sink, self.payloads)
                if run is not None:
                    result[subject].append(run)
        print("  ".join(scenario_row(scenario, result)), flush=True)

    def _compare(self, scenario: Scenario) -> str:
        label = f"{scenario.name}, output"
        outputs = [self._try(label, output_of, subject, scenario, self.payloads) for subject in SUBJECTS]
        if None in outputs:
            return "failed"
        difference = describe_difference(*outputs)
        if difference:
            self.results["failures"][label] = difference[:1500]
        return "NO" if difference else f"yes ({outputs[0].total():,} spans)"

    def idle(self) -> None:
        """Measure start and idle memory, three times each."""
        for subject in self.subjects:
            runs = [self._try(f"idle, {subject}", measure_idle, subject) for _ in range(3)]
            self.results["idle"][subject] = [run for run in runs if run is not None]

    def overload(self) -> None:
        """Offer ten times the capacity of the destination."""
        for subject in self.subjects:
            arguments = (subject, Overload(), self.durations.overload, OVERLOAD_SCENARIO, self.payloads)
            run = self._try(f"overload, {subject}", measure_overload, *arguments)
            if run is not None:
                self.results["overload"][subject] = run


def _available(wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Answer which daemons can be run here, and why the others cannot."""
    found, reasons = [], []
    checks: dict[str, Callable[[], object]] = {"ours": daemon_command, "collector": collector_binary}
    for subject in wanted:
        try:
            checks[subject]()
            found.append(subject)
        except PeerUnavailable as reason:
            reasons.append(f"{subject}: {reason}")
    return found, reasons


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=sorted(SUBJECTS), help="measure one of the two")
    parser.add_argument(
        "--scenario", action="append", default=[], help="part of a name; may be repeated; also: idle, overload"
    )
    parser.add_argument("--quick", action="store_true", help="one short round each, about 4 minutes in all")
    parser.add_argument("--seconds", type=float, help="duration of the fixed-rate phase")
    parser.add_argument("--rounds", type=int, help="rounds per scenario; the table shows means")
    parser.add_argument("--overload-seconds", type=float, help="duration of the overload")
    parser.add_argument("--no-saturation", action="store_true", help="leave out the phase that measures spans/s")
    parser.add_argument("--name", default="latest", help="name of the result files (default: latest)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the result files")
    parser.add_argument("--list", action="store_true", help="print the scenarios and end")
    return parser.parse_args()


def _durations(arguments: argparse.Namespace) -> Durations:
    durations = QUICK if arguments.quick else Durations()
    given = {"fixed": arguments.seconds, "rounds": arguments.rounds, "overload": arguments.overload_seconds}
    durations = replace(durations, **{key: value for key, value in given.items() if value is not None})
    return replace(durations, saturation=0.0) if arguments.no_saturation else durations


def _selected(names: Sequence[str]) -> tuple[list[Scenario], list[str]]:
    if not names:
        return list(SCENARIOS), list(EXTRA)
    chosen = [scenario for scenario in SCENARIOS if any(name in scenario.name for name in names)]
    return chosen, [extra for extra in EXTRA if extra in names]


def _measure_all(bench: Bench, scenarios: Sequence[Scenario], extras: Sequence[str]) -> None:
    if "idle" in extras:
        bench.idle()
    for scenario in scenarios:
        bench.scenario(scenario)
    if "overload" in extras:
        bench.overload()


def main() -> int:
    """Measure, print, write; 0 measured, 1 something failed, 2 bad usage, 3 measured without a peer."""
    arguments = _arguments()
    scenarios, extras = _selected(arguments.scenario)
    if arguments.list or not (scenarios or extras):
        print("\n".join([*(scenario.name for scenario in SCENARIOS), *EXTRA]))
        return 0 if arguments.list else EXIT_USAGE
    try:
        loadgen_binary()
    except PeerUnavailable as reason:
        print(f"nothing measured: {reason}", file=sys.stderr)
        return EXIT_PEER_SKIPPED
    subjects, skipped = _available([arguments.only] if arguments.only else list(SUBJECTS))
    for text in skipped:
        print(f"not measured: {text}", file=sys.stderr)
    if not subjects:
        return EXIT_PEER_SKIPPED
    with tempfile.TemporaryDirectory() as payloads:
        bench = Bench(subjects, _durations(arguments), Path(payloads))
        about = environment(" ".join(["python -m benchmarks", *sys.argv[1:]]))
        bench.results |= {"environment": about, "skipped": skipped}
        _measure_all(bench, scenarios, extras)
    print("\n" + markdown(bench.results))
    print(f"written: {write_results(bench.results, arguments.results, arguments.name)}")
    if bench.results["failures"]:
        return EXIT_FAILED
    return EXIT_PEER_SKIPPED if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
