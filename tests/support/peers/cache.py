"""Build or fetch peers once per recipe and keep them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BUILD_TIMEOUT_SECONDS = 1800
RECIPE_SUFFIXES = {".go", ".java", ".json", ".mod", ".sum", ".txt", ".xml"}
"""Of the files that say what is built."""


class PeerUnavailable(Exception):  # noqa: N818 - a state, not a fault
    """A peer cannot be had here; the message says why. Tests turn it into a skip."""


def cache_root() -> Path:
    """Answer the directory of all built peers: `UNTRACE_PEERS_DIR`, or a folder in the user's cache."""
    configured = os.environ.get("UNTRACE_PEERS_DIR")
    return Path(configured) if configured else Path.home() / ".cache" / "untrace-pipeline" / "peers"


def recipe_hash(recipe: Path) -> str:
    """Hash the names and contents of the recipe's files, so that a changed recipe is built anew."""
    digest = hashlib.sha256()
    for path in sorted(recipe.iterdir()):
        if path.suffix in RECIPE_SUFFIXES and not path.name.endswith("_test.go"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, across processes."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _go_build(recipe: Path, target: Path, packages: Sequence[str] = (".",), tags: str = "") -> None:
    """Compile with the committed go.mod and go.sum: the same versions everywhere, checksums verified.

    The target is one program, or a directory of programs where there are several packages.
    """
    go = shutil.which("go")
    if go is None:
        raise PeerUnavailable(f"{target.name}: no Go toolchain on PATH; install Go or name a ready binary")
    parallel = str(min(2, os.cpu_count() or 1))
    scratch = target.with_suffix(".new")
    if len(packages) > 1:
        scratch.mkdir(exist_ok=True)
    command = [go, "build", "-mod=readonly", "-p", parallel, "-trimpath", "-buildvcs=false", f"-tags={tags}"]
    command += ["-ldflags=-s -w", "-o", str(scratch), *packages]
    environment = os.environ | {"GOMAXPROCS": parallel, "GOWORK": "off"}
    try:
        build = subprocess.run(
            command,
            cwd=recipe,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailable(f"{target.name}: the build took more than {BUILD_TIMEOUT_SECONDS} s") from error
    if build.returncode != 0:
        raise PeerUnavailable(f"{target.name}: the build failed: {build.stderr.strip()[-2000:]}")
    scratch.replace(target)


def build_go_program(
    name: str, recipe: Path, override: str | None = None, *, tags: str = "", build: bool = True
) -> Path:
    """Answer the binary of a Go recipe (a directory with go.mod), building it at the first call; see `build_once`."""

    def make(recipe: Path, target: Path) -> None:
        _go_build(recipe, target, tags=tags)

    return build_once(name, recipe, make, override, build=build)


def build_go_programs(
    name: str, recipe: Path, packages: Sequence[str], override: str | None = None, *, tags: str = "", build: bool = True
) -> Path:
    """Answer the directory of the binaries of packages that a Go recipe requires, as `build_go_program` does."""

    def make(recipe: Path, target: Path) -> None:
        _go_build(recipe, target, packages, tags)

    return build_once(name, recipe, make, override, build=build)


def build_python_environment(name: str, recipe: Path, override: str | None = None, *, build: bool = True) -> Path:
    """Answer a virtual environment of its own with the recipe's `requirements.txt`; see `build_once`.

    Run its programs as `bin/python -m …` or `bin/python bin/…`: the first lines of those files name another place.
    """

    def make(recipe: Path, target: Path) -> None:
        scratch = target.with_suffix(".new")
        venv.create(scratch, clear=True, with_pip=True)
        pip = [str(scratch / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(name, [*pip, "-r", str(recipe / "requirements.txt")], recipe)
        scratch.rename(target)

    return build_once(name, recipe, make, override, build=build)


def build_node_program(name: str, recipe: Path, override: str | None = None, *, build: bool = True) -> Path:
    """Answer a directory with the `node_modules` of the recipe's `package.json`; see `build_once`."""

    def make(recipe: Path, target: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise PeerUnavailable(f"{name}: no npm on PATH; install Node.js or name a ready directory")
        scratch = target.with_suffix(".new")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(recipe, scratch)
        _run(name, [npm, "install", "--no-audit", "--no-fund", "--silent"], scratch)
        scratch.rename(target)

    return build_once(name, recipe, make, override, build=build)


def _run(name: str, command: Sequence[str], directory: Path) -> None:
    """Run one step of a build. Raises `PeerUnavailable` with the end of what it wrote."""
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=BUILD_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailable(f"{name}: {command[0]} took more than {BUILD_TIMEOUT_SECONDS} s") from error
    if done.returncode != 0:
        raise PeerUnavailable(f"{name}: {command[0]} failed: {(done.stdout + done.stderr).strip()[-2000:]}")


def build_once(
    name: str, recipe: Path, make: Callable[[Path, Path], None], override: str | None = None, *, build: bool = True
) -> Path:
    """Answer what `make(recipe, target)` made, calling it the first time; its place depends on the recipe's content.

    `override` names an environment variable with the path of something ready to take instead. Parallel callers wait for
    one build. Raises `PeerUnavailable` when `make` does, or the override does not exist; with `build=False` also when
    it has not been built yet.
    """
    configured = os.environ.get(override) if override else None
    if configured:
        if not Path(configured).exists():
            raise PeerUnavailable(f"{name}: {override}={configured} does not exist")
        return Path(configured)
    directory = cache_root() / f"{name}-{recipe_hash(recipe)}"
    target = directory / name
    if target.exists():
        return target
    if not build:
        raise PeerUnavailable(f"{name}: not built; `make peers` builds it once")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _locked(directory / "lock"):
            if not target.exists():
                make(recipe, target)
    except OSError as error:
        raise PeerUnavailable(f"{name}: cannot use the cache {directory}: {error}") from error
    return target
