"""`python -m benchmarks profile`: flame graphs of our daemon in one scenario, as SVG in `results/`.

Two views of the same load. `perf` sees every thread, native code and the kernel, but Python only as its interpreter;
`py-spy` sees Python functions and the native code below them, but only threads that Python knows.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import get_args

from benchmarks.loadtool import Load, Sinks, run_load
from benchmarks.measure import WARM_UP_SECONDS
from benchmarks.payload import write_payload
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.subjects import Mode, Subject, subjects
from tests.support.peers import PeerUnavailable

RATE_HZ = 199
EXIT_FAILED, EXIT_USAGE = 1, 2
INSTALL = {
    "perf": "the perf tool of the kernel, and `cargo install inferno` for the picture",
    "py-spy": "pip install py-spy",
}


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    cargo = Path.home() / ".cargo" / "bin" / name
    for place in (beside, cargo):
        if place.is_file():
            return str(place)
    found = shutil.which(name)
    if found is None:
        raise PeerUnavailable(f"{name} is not installed: {INSTALL.get(name, INSTALL['perf'])}")
    return found


def _py_spy(pid: int, seconds: float, title: str, svg: Path) -> None:
    command = [_tool("py-spy"), "record", "--native", "--pid", str(pid), "--rate", str(RATE_HZ)]
    command += ["--duration", str(int(seconds)), "--output", str(svg)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    svg.write_text(re.sub(r"(<text id=\"title\"[^>]*>)[^<]*", rf"\g<1>{title}", svg.read_text()))


def _perf(pid: int, seconds: float, title: str, svg: Path) -> None:
    perf, collapse, draw = _tool("perf"), _tool("inferno-collapse-perf"), _tool("inferno-flamegraph")
    with tempfile.TemporaryDirectory() as directory:
        data = str(Path(directory) / "perf.data")
        record = [perf, "record", "-q", "-F", str(RATE_HZ), "--call-graph", "dwarf,16384", "-o", data]
        subprocess.run([*record, "-p", str(pid), "--", "sleep", str(seconds)], check=True, capture_output=True)
        # `--no-inline`: naming inlined functions takes binutils minutes, and the callers are named anyway.
        script = subprocess.run([perf, "script", "--no-inline", "-i", data], check=True, capture_output=True).stdout
        folded = subprocess.run([collapse], input=script, check=True, capture_output=True).stdout
        drawing = [draw, "--title", title, "--minwidth", "0.2", "--colors", "hot"]
        svg.write_bytes(subprocess.run(drawing, input=folded, check=True, capture_output=True).stdout)


RECORDERS = {"perf": _perf, "py-spy": _py_spy}


def _record(subject: Subject, scenario: Scenario, seconds: float, recorder: str, svg: Path) -> None:
    """Run the scenario at its fixed rate while the recorder looks at the daemon."""
    with tempfile.TemporaryDirectory() as payloads, Sinks(scenario.sinks) as sinks:
        load = Load(
            write_payload(scenario.payload, Path(payloads)),
            scenario.protocol,
            duration=WARM_UP_SECONDS,
            rate=scenario.rate,
            concurrency=scenario.concurrency,
            compression=scenario.compression,
        )
        with (
            subject.process(scenario.config_text, sinks.env | scenario.env) as process,
            ThreadPoolExecutor(1) as background,
        ):
            target = process.endpoint("GRPC_PORT" if scenario.protocol == "grpc" else "HTTP_PORT")
            run_load(load, target)
            sending = background.submit(run_load, replace(load, duration=seconds + 2), target)
            RECORDERS[recorder](process.pid, seconds, f"{scenario.name}, {recorder}", svg)
            sending.result()


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks profile", description=__doc__)
    parser.add_argument("--scenario", default="pass-through grpc, 100/request", help="part of a name; the first one")
    parser.add_argument("--ours", choices=[mode for mode in get_args(Mode) if mode != "both"], default="auto")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to look")
    parser.add_argument("--with", dest="recorders", action="append", choices=sorted(RECORDERS), help="default: both")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args(arguments)


def profile(arguments: Sequence[str]) -> int:
    """Write the pictures; 0 all written, 1 not all, 2 bad usage."""
    given = _arguments(arguments)
    scenario = next((each for each in SCENARIOS if given.scenario in each.name), None)
    if scenario is None:
        print("\n".join(each.name for each in SCENARIOS), file=sys.stderr)
        return EXIT_USAGE
    subject, code = subjects(given.ours)["ours"], 0
    print(f"runtime: {subject.runtime()}")
    for recorder in given.recorders or sorted(RECORDERS):
        slug = re.sub(r"\W+", "-", scenario.name).strip("-")
        svg = given.results / f"flame-{slug}-{recorder}.svg"
        try:
            _record(subject, scenario, given.seconds, recorder, svg)
            print(f"written: {svg}")
        except (PeerUnavailable, subprocess.CalledProcessError) as error:
            print(f"{recorder}: {error} {getattr(error, 'stderr', '') or ''}", file=sys.stderr)
            code = EXIT_FAILED
    return code
