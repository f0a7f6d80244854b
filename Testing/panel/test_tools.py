"""What a tool may use of the panel, shown by one that is no part of the product: it counts the letters of a text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.panel.runner import Outcome
from LabelConditionedSegmentationLib.panel.situation import Situation
from LabelConditionedSegmentationLib.panel.tool import Frame, Tool
from LabelConditionedSegmentationLib.worker.request import Reply, Request, RequestContext

from Testing.host.application import Host
from Testing.panel.user import User


@dataclass(frozen=True)
class CountRequest(Request, name="count letters"):
    """Answer: letters, how many the text has."""

    text: str

    def answer(self, _context: RequestContext) -> Reply:
        if not self.text:
            raise InputError("There is no text to count.")
        return {"letters": len(self.text)}, {}


class CountTool:
    """Counts letters; failures: how often that did not work."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.failures = 0
        self.is_stopped = False
        self.refreshed: list[bool] = []

    def refresh(self, now: Situation) -> None:
        self.refreshed.append(now.running)

    def advice(self, now: Situation) -> str:
        return "" if now.running else "Count the letters."

    def stop(self) -> None:
        self.is_stopped = True

    def count(self, text: str) -> None:
        self._frame.start(lambda: self._frame.runner.send(CountRequest(text)), self._counted, self._failed)

    def _counted(self, outcome: Outcome) -> None:
        self._frame.say(f"The text has {outcome.values['letters']} letters.", "Count another one.")

    def _failed(self) -> None:
        self.failures += 1


@pytest.fixture
def user(host: Host, models: Path) -> User:
    assert models.is_dir()
    return User(host)


@pytest.fixture
def tool(user: User) -> CountTool:
    counting = CountTool(user.panel)
    tools: tuple[Tool, ...] = (counting, *user.panel.tools)
    user.panel.tools = tools
    user.panel.refresh()
    return counting


def test_a_tool_shows_what_may_be_pressed_and_gives_advice(user: User, tool: CountTool) -> None:
    assert tool.refreshed == [False]
    assert user.said == "Count the letters."


def test_the_answer_of_a_request_comes_to_the_tool_that_sent_it(user: User, tool: CountTool) -> None:
    tool.count("abc")
    assert user.panel.runner.running
    assert True in tool.refreshed
    assert not user.ui.applyButton.enabled
    user.wait()
    assert user.said == "The text has 3 letters. Count another one."
    assert tool.failures == 0


def test_a_request_that_fails_is_told_and_the_tool_knows(user: User, tool: CountTool) -> None:
    tool.count("")
    user.wait()
    assert user.said == "There is no text to count."
    assert tool.failures == 1
    tool.count("ab")
    user.wait()
    assert user.said == "The text has 2 letters. Count another one."


def test_a_cancelled_request_is_told_and_the_tool_goes_on_as_before(user: User, tool: CountTool) -> None:
    tool.count("abc")
    user.ui.cancelButton.click()
    user.wait()
    assert user.said == "Cancelled; nothing was changed."
    assert tool.failures == 0


def test_while_a_request_is_under_way_no_other_one_is_sent(user: User, tool: CountTool) -> None:
    tool.count("abc")
    tool.count("abcd")
    user.wait()
    assert user.said == "The text has 3 letters. Count another one."


def test_tools_let_go_of_a_scene_that_closes(user: User, tool: CountTool) -> None:
    user.host.scene.Clear(0)
    assert tool.is_stopped
