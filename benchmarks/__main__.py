"""`python -m benchmarks`: measure the daemon and the Collector under the same load and print a table."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from benchmarks.capture import measure_capture
from benchmarks.encoders import measure_encoders
from benchmarks.loadtool import Sinks, loadgen_binary
from benchmarks.measure import QUICK, Durations, measure, measure_idle, measure_overload, output_of
from benchmarks.profile import profile
from benchmarks.proxy import measure_proxy
from benchmarks.report import environment, markdown, scenario_row, write_results
from benchmarks.scenarios import OVERLOADS, SCENARIOS, Overload, Scenario
from benchmarks.stages import measure_stages
from benchmarks.subjects import Mode, Subject, subjects
from benchmarks.workers import compare_workers
from tests.support.peers import PeerProcessError, PeerUnavailable, collector_binary, daemon_command
from tests.support.peers.canonical import describe_difference

RESULTS = Path(__file__).parent / "results"
EXIT_FAILED, EXIT_USAGE, EXIT_PEER_SKIPPED = 1, 2, 3
PARTS = ("scenarios", "idle", "overload", "failures")
EXTRA = ("idle", *(overload.name for overload in OVERLOADS))
OVERLOAD_SCENARIO = next(scenario for scenario in SCENARIOS if scenario.name == "pass-through grpc, 10/request")
COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "capture": measure_capture,
    "encoders": measure_encoders,
    "profile": profile,
    "proxy": measure_proxy,
    "stages": measure_stages,
    "workers": compare_workers,
}


@dataclass
class Bench:
    """One run of the benchmark: what is measured, and the results so far."""

    subjects: Mapping[str, Subject]
    durations: Durations
    payloads: Path
    results: dict[str, Any] = field(default_factory=lambda: {part: {} for part in PARTS})
    runtime: dict[str, str] = field(default_factory=dict)
    """What our daemons say of their codec and transports at start."""

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
        able = {name: subject for name, subject in self.subjects.items() if not self._unable(scenario, name)}
        result: dict[str, Any] = {name: [] for name in able}
        self.results["scenarios"][scenario.name] = result
        if scenario.compare_output and {"ours", "collector"} <= set(able):
            result["same_output"] = self._compare(scenario)
        with Sinks(scenario.sinks) as sinks:
            for subject in [*able.values()] * self.durations.rounds:
                label = f"{scenario.name}, {subject.name}"
                run = self._try(label, measure, subject, scenario, self.durations, sinks, self.payloads)
                if run is not None:
                    result[subject.name].append(run)
        print("  ".join(scenario_row(scenario, result)), flush=True)

    def _unable(self, scenario: Scenario, name: str) -> bool:
        """Say, and keep for the report, why a daemon cannot run a scenario."""
        if not scenario.native_egress_only or "egress python" not in self.runtime.get(name, ""):
            return False
        self.results["skipped"].append(f"{scenario.name}, {name}: only the native egress can send this")
        return True

    def _compare(self, scenario: Scenario) -> str:
        label = f"{scenario.name}, output"
        pair = [self.subjects["ours"], self.subjects["collector"]]
        outputs = [self._try(label, output_of, subject, scenario, self.payloads) for subject in pair]
        if None in outputs:
            return "failed"
        difference = describe_difference(*outputs)
        if difference:
            self.results["failures"][label] = difference[:1500]
        return "NO" if difference else f"yes ({outputs[0].total():,} spans)"

    def start(self) -> None:
        """Start each daemon once, to learn what it is made of."""
        for name, subject in self.subjects.items():
            self.runtime[name] = self._try(f"start, {name}", subject.runtime) or ""
            if self.runtime[name]:
                print(f"{name}: {self.runtime[name]}", flush=True)

    def idle(self) -> None:
        """Measure start and idle memory, three times each."""
        for name, subject in self.subjects.items():
            runs = [self._try(f"idle, {name}", measure_idle, subject) for _ in range(3)]
            self.results["idle"][name] = [run for run in runs if run is not None]

    def overload(self, overload: Overload) -> None:
        """Offer ten times the capacity of the destination."""
        result: dict[str, Any] = {}
        self.results["overload"][overload.name] = result
        for name, subject in self.subjects.items():
            arguments = (subject, overload, self.durations.overload, OVERLOAD_SCENARIO, self.payloads)
            run = self._try(f"{overload.name}, {name}", measure_overload, *arguments)
            if run is not None:
                result[name] = run


def _available(wanted: Mapping[str, Subject]) -> tuple[dict[str, Subject], list[str]]:
    """Answer which daemons can be run here, and why the others cannot."""
    found, reasons = {}, []
    for name, subject in wanted.items():
        try:
            (collector_binary if name == "collector" else daemon_command)()
            found[name] = subject
        except PeerUnavailable as reason:
            reasons.append(f"{name}: {reason}")
    return found, reasons


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=["collector", "ours"], help="measure one of the two")
    parser.add_argument(
        "--ours",
        choices=get_args(Mode),
        default="auto",
        help="our codec and transports; both: one more column (default: auto, what an installation would take)",
    )
    parser.add_argument(
        "--scenario", action="append", default=[], help="part of a name; may be repeated; also: idle, overload"
    )
    parser.add_argument("--quick", action="store_true", help="one short round each, about 8 minutes in all")
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
    return chosen, [extra for extra in EXTRA if any(name in extra for name in names)]


def _measure_all(bench: Bench, scenarios: Sequence[Scenario], extras: Sequence[str]) -> None:
    if "idle" in extras:
        bench.idle()
    for scenario in scenarios:
        bench.scenario(scenario)
    for overload in OVERLOADS:
        if overload.name in extras:
            bench.overload(overload)


def main() -> int:
    """Measure, print, write; 0 measured, 1 something failed, 2 bad usage, 3 measured without a peer."""
    if command := COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else ""):
        return command(sys.argv[2:])
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
    wanted = subjects(arguments.ours)
    if arguments.only:
        wanted = {
            name: each for name, each in wanted.items() if (name == "collector") == (arguments.only == "collector")
        }
    found, skipped = _available(wanted)
    for text in skipped:
        print(f"not measured: {text}", file=sys.stderr)
    if not found:
        return EXIT_PEER_SKIPPED
    with tempfile.TemporaryDirectory() as payloads:
        bench = Bench(found, _durations(arguments), Path(payloads))
        bench.start()
        about = environment(" ".join(["python -m benchmarks", *sys.argv[1:]]))
        about |= {name: runtime for name, runtime in bench.runtime.items() if runtime}
        bench.results |= {"environment": about, "skipped": [*skipped]}
        _measure_all(bench, scenarios, extras)
    print("\n" + markdown(bench.results))
    print(f"written: {write_results(bench.results, arguments.results, arguments.name)}")
    if bench.results["failures"]:
        return EXIT_FAILED
    return EXIT_PEER_SKIPPED if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
