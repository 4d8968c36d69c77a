"""Rules in a file of their own: read anew when it changes; what is wrong takes no effect."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.routing import RuleRouter, calls, rule
from untrace_pipeline.api import StartError, Status
from untrace_pipeline.testing import StubHost, run_with_fake_clock
from untrace_plugins.connectors.routing import rules_file
from untrace_plugins.connectors.routing.rules_file import RulesFile

CALL = {"name": "x"}

YAML = """\
version: "3"
rules:
  - id: r
    priority: 1
    conditions: {all: [{field: $.model, operator: eq, value: "gpt-*"}]}
    actions: {destinations: [a]}
defaultDestinations: [%s]
"""


def at(path: Path, **more: Any) -> RuleRouter:
    """Return a router with the rules of a file."""
    return RuleRouter(rules_file=str(path), **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Rules that send everything but GPT to ``rest``."""
    file = tmp_path / "rules.yaml"
    file.write_text(YAML % "rest")
    return file


async def test_file_is_read_at_start(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The rules of the file work, and its version is told."""
    caplog.set_level("INFO")
    async with at(path) as router:
        batch = calls({"name": "g", "attributes": {"gen_ai.request.model": "gpt-4"}}, CALL)
        assert await router.route(batch) == {"a": ["g"], "rest": ["x"]}
    assert "1 rules of version 3" in caplog.text


async def test_change_takes_effect(path: Path) -> None:
    """What is written into the file holds for the next batch, without a restart."""
    async with at(path) as router:
        assert await router.route(calls(CALL)) == {"rest": ["x"]}
        path.write_text(YAML % "b")
        await router.connector.refresh()
        assert await router.route(calls(CALL)) == {"b": ["x"]}
        assert router.meter.value("connector_routing_rules_reloads", outcome="success") == 1
        path.touch()
        await router.connector.refresh()
        assert router.meter.value("connector_routing_rules_reloads") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("# nothing", "is empty"),
        ("rules: [", "YAML"),
        ("rules: 3", "wrong type"),
        ("- a", "mapping"),
        (YAML.replace("eq", "equals") % "rest", "rules.yaml:5:"),
        (YAML % "nowhere", "nowhere"),
        (YAML.replace("$.model", "a ==") % "rest", "JSONPath"),
        (YAML.replace("destinations: [a]", "destinations: [a], transformations: [missing]") % "rest", "missing"),
        ("rules:\n- {id: a, id: b}", "already in line"),
    ],
)
async def test_wrong_file_keeps_the_rules_from_before(path: Path, content: str, words: str) -> None:
    """An invalid file is told, counted and shown in the health; the old rules stay, and a right one ends that."""
    async with at(path) as router:
        path.write_text(content)
        await router.connector.refresh()
        await router.connector.refresh()
        assert await router.route(calls(CALL)) == {"rest": ["x"]}
        assert router.meter.value("connector_routing_rules_reloads", outcome="failure") == 1
        status, message = router.host.reports[-1]
        assert status is Status.RECOVERABLE_ERROR
        assert words in message
        path.write_text(YAML % "c")
        await router.connector.refresh()
        assert router.host.reports[-1][0] is Status.OK
        assert await router.route(calls(CALL)) == {"c": ["x"]}


async def test_file_that_goes_away_keeps_its_rules(path: Path) -> None:
    """A file that is gone, for a moment or for good, is an error, and its rules stay in use."""
    async with at(path) as router:
        content = path.read_text()
        path.unlink()
        await router.connector.refresh()
        assert await router.route(calls(CALL)) == {"rest": ["x"]}
        assert "cannot be read" in router.host.reports[-1][1]
        path.write_text(content)
        await router.connector.refresh()
        assert router.host.reports[-1][0] is Status.OK


async def test_wrong_file_at_start_is_an_error(tmp_path: Path) -> None:
    """Without rules from before there is nothing to go on with."""
    with pytest.raises(StartError, match="cannot be read"):
        await at(tmp_path / "absent.yaml").connector.start(StubHost())


async def test_json_with_what_the_connector_says(tmp_path: Path) -> None:
    """JSON works too, and what the file leaves out is as the connector's options say."""
    file = tmp_path / "rules.json"
    file.write_bytes(orjson.dumps({"rules": [rule("r", {"field": "name", "operator": "eq", "value": "y"})]}))
    async with at(file, default_destinations=["rest"]) as router:
        assert await router.route(calls(CALL, {"name": "y"})) == {"a": ["y"], "rest": ["x"]}


async def test_file_that_is_being_written_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor empties a file before it writes it: what lies in it for a moment is never taken for the rules."""

    class Written(RulesFile):
        """Somebody goes on writing while it is looked at."""

        def _digest(self) -> str:
            found = super()._digest()
            if pieces:
                path.write_text(pieces.pop(0))
            return found

    monkeypatch.setattr(rules_file, "SETTLE_SECONDS", 0)
    pieces: list[str] = []
    file = Written(str(path))
    file.read(StubHost())
    assert not await file.settled()
    path.write_text("rules: []")
    pieces = [YAML % "b"]
    assert not await file.settled()
    assert await file.settled()


async def test_file_that_changes_while_it_is_read_is_read_again(path: Path) -> None:
    """Whatever was read of it then, the next look does not take it for known."""

    class Changing(StubHost):
        """The file changes just after it was read."""

        def read_options(self, file: str, model: Any) -> Any:
            found = super().read_options(file, model)
            path.write_text(YAML % "b")
            return found

    file = RulesFile(str(path))
    file.read(Changing())
    assert await file.changed()
    file.read(StubHost())
    assert not await file.changed()


def test_file_is_followed(path: Path) -> None:
    """The connector notices a change by itself, and no batch is lost over it."""

    async def scenario() -> None:
        async with at(path, reload_interval="1s") as router:
            before = await router.route(calls(CALL))
            path.write_text(YAML % "b")
            found = before
            while found == before:
                found = await router.route(calls(CALL))
                await asyncio.sleep(0.5)
            assert found == {"b": ["x"]}
            assert router.sinks["rest"].item_count + router.sinks["b"].item_count >= 2

    run_with_fake_clock(scenario())
