"""One run after another: sends requests to the worker, keeps what the last run left, and knows what it is valid for.

Without Qt, for the panel and for scripts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.errors import InputError
from ..core.examples.example_prompt import ExamplePrompt
from ..core.findings import Finding
from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label, LabelTree
from ..core.package.model_package import ModelPackage
from ..core.scan.volume import Array
from ..scene.volumes import fingerprint, is_declared_scan, volume_of
from ..worker.protocol import Event, Worker
from ..worker.request import Request
from ..worker.requests import ExamplesRequest, KeptRunRequest, RunRequest

CHANGED = "The volume was changed or removed during the run, so its result was left aside; start a new run."


@dataclass(frozen=True)
class Task:
    """What a run is made from. key distinguishes tasks: runs of equal keys give the same answers."""

    nodes: tuple[Any, ...]
    package: ModelPackage
    metadata: Mapping[str, str | float]
    device: str
    stripped: str = "auto"
    adapt: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """Changes with the voxels and place of the volumes, the model and the metadata; the device is left out, since
        it changes no answer.
        """
        return (
            fingerprint(self.nodes),
            str(self.package.path),
            self.package.weights_sha256,
            tuple(sorted(self.metadata.items())),
            self.stripped,
            self.adapt,
        )


@dataclass(frozen=True)
class Answer:
    """What a finished run left: every label of the model is now a comparison away. run: its number in the worker, which
    keeps the features. winners: of every protocol of the model, in order.

    examples: who won among labels by example, once that was sent for. can_rank: whether the worker can still rank them,
    and the labels at single points. is_forced: the user wants it, whatever is wrong with it.
    """

    task: Task
    key: tuple[Any, ...]
    run: int
    winners: tuple[Winners, ...]
    report: dict[str, Any]
    can_rank: bool
    examples: Winners | None = None
    is_forced: bool = False

    @property
    def refusal(self) -> list[str]:
        """Why the answer is not written, as sentences; none where it can be true, or the user wants it nevertheless."""
        errors = [Finding(**finding) for finding in self.report["findings"] if finding["level"] == "error"]
        return [] if self.is_forced else [str(error) for error in errors]

    @property
    def competitions(self) -> tuple[Winners, ...]:
        """Of the protocols, and of labels by example where that is known."""
        return self.winners if self.examples is None else (*self.winners, self.examples)

    def competition_of(self, label_id: int) -> Winners | None:
        """The one that a label takes part in; None where the winners of that are not known."""
        return next((winners for winners in self.competitions if label_id in winners.labels), None)

    def with_winners(self, winners: Winners) -> Answer:
        """The same with another winner map of the protocol that it is of."""
        is_of_it = [kept.labels == winners.labels for kept in self.winners]
        return replace(self, winners=tuple(winners if x else y for x, y in zip(is_of_it, self.winners, strict=True)))

    def parts(self, labels: Sequence[Label]) -> list[tuple[Winners, list[Label]]]:
        """Labels with the competition that each takes part in; those of which the winners are not known
        are left out.
        """
        parts = [(winners, [label for label in labels if label.id in winners.labels]) for winners in self.competitions]
        return [(winners, there) for winners, there in parts if there]


@dataclass(frozen=True)
class Outcome:
    """How a request ended, by its number: ok, or not with the sentence `text` for the user (details: the traceback or
    the end of the log), perhaps because it was cancelled.
    """

    number: int
    ok: bool
    text: str
    values: dict[str, Any]
    details: str = ""
    cancelled: bool = False
    arrays: Mapping[str, Array] = field(default_factory=dict)


class Runner:
    """Runs one request at a time in a worker. `poll` has to be called every now and then; it never blocks."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.answer: Answer | None = None
        self.fraction = 0.0
        self.text = ""
        self.cancelling = False
        self._foreground: tuple[int, Request] | None = None
        self._background: set[int] = set()
        self._task: tuple[Task, tuple[Any, ...], tuple[int, int, int]] | None = None
        self._examples: LabelTree | None = None
        self._began = 0.0

    @property
    def running(self) -> bool:
        """Whether a request is under way that others have to wait for."""
        return self._foreground is not None

    @property
    def is_waiting(self) -> bool:
        """Whether anything is under way, so that `poll` has to be called."""
        return self.running or bool(self._background)

    @property
    def seconds(self) -> float:
        """Since the request began."""
        return time.monotonic() - self._began

    def answers(self, task: Task | None) -> bool:
        """Whether the kept answer is the one that this task would give."""
        return task is not None and self.answer is not None and self.answer.key == task.key

    def start(self, task: Task) -> int:
        """Begin a run, and return its number.

        The answer before it stays until the new one is there. Raises InputError, or OutputError where the volume cannot
        be handed over.
        """
        volume = volume_of(task.nodes)
        declared = any(map(is_declared_scan, task.nodes))
        key = task.key
        about = (str(task.package.path), task.device, task.metadata)
        number = self.send(RunRequest(*about, volume, declared, task.stripped, task.adapt))
        self._task = task, key, volume.shape
        return number

    def send(self, request: Request) -> int:
        """Send a request that others have to wait for, and return its number.

        Raises InputError while another one is under way, or OutputError where its arrays cannot be handed over.
        """
        if self.running:
            raise InputError("A run is going on; wait for it, or cancel it first.")
        self.fraction, self.text, self.cancelling, self._began = 0.0, "", False, time.monotonic()
        number = self.worker.send(request)
        self._foreground = number, request
        return number

    def send_in_background(self, request: Request) -> int:
        """Send a request that nobody has to wait for, and return its number."""
        number = self.worker.send(request)
        self._background.add(number)
        return number

    def lacks_examples(self, labels: LabelTree) -> bool:
        """Whether there is an answer that does not know of these labels by example."""
        return self.answer is not None and (self.answer.examples is None or self.answer.examples.labels != labels)

    def rank_examples(self, labels: LabelTree, prompts: Sequence[ExamplePrompt]) -> int:
        """Find out which label by example wins where; the leaves of `labels` are those of the prompts. Returns the
        number of the request.

        The network does not run; the answer keeps the outcome.
        """
        if self.answer is None:
            raise InputError("Run the model first; then labels by example can be shown.")
        ids = tuple(leaf.id for leaf in labels.leaves)
        number = self.send(ExamplesRequest(self.answer.run, tuple(prompts), ids))
        self.answer = replace(self.answer, examples=None)
        self._examples = labels
        return number

    def force(self) -> None:
        """The user wants the answer, though it was found to be wrong."""
        if self.answer is not None:
            self.answer = replace(self.answer, is_forced=True)

    def cancel(self) -> None:
        """Cancel the request in the foreground."""
        if self._foreground is not None and not self.cancelling:
            self.cancelling = True
            self.worker.cancel(self._foreground[0])

    def poll(self) -> list[Outcome]:
        """Take what the worker has said: the outcome of every request that has ended since."""
        outcomes = []
        for event in self.worker.poll():
            if event.request in self._background and event.kind != "progress":
                self._background.remove(event.request)
                outcomes.append(_outcome(event))
            elif self._foreground is None or event.request != self._foreground[0]:
                continue
            elif event.kind == "progress":
                self.fraction, self.text = event.fraction, event.text
            else:
                outcomes.append(self._end(event))
        return outcomes

    def forget(self) -> None:
        """Drop the answer, for example because the scene was closed."""
        self.answer = None

    def close(self) -> None:
        """End the worker."""
        self._foreground = None
        self._background.clear()
        self.forget()
        self.worker.close()

    def _end(self, event: Event) -> Outcome:
        """Keep what the request in the foreground brought."""
        assert self._foreground is not None
        request = self._foreground[1]
        self._foreground, self.cancelling = None, False
        done, answer = event.kind == "done", self.answer
        if done and isinstance(request, RunRequest):
            return self._end_of_run(event)
        if done and isinstance(request, ExamplesRequest) and answer is not None and self._examples is not None:
            winners = replace(answer.winners[0], labels=self._examples, classes=event.arrays["winners"])
            self.answer = replace(answer, examples=winners)
        is_lost = isinstance(request, KeptRunRequest) and request.has_lost_run(str(event.values.get("error", "")))
        if event.kind == "failed" and is_lost and answer is not None and answer.can_rank:
            self.forget()  # the worker has lost what it found, so that only a new run can answer
        return _outcome(event)

    def _end_of_run(self, event: Event) -> Outcome:
        assert self._task is not None
        task, key, shape = self._task  # as they were when the run began
        if task.key != key:
            return Outcome(event.request, False, CHANGED, {})
        k, j, i = event.values["region"][0]
        maps = zip(task.package.labels.parts.values(), event.arrays["winners"], strict=True)
        winners = tuple(Winners(tree, classes, (k, j, i), shape) for tree, classes in maps)
        report, can_rank = event.values["report"], bool(event.values["can_rank"])
        self.answer = Answer(task, key, event.request, winners, report, can_rank)
        return _outcome(event)


def _outcome(event: Event) -> Outcome:
    is_done, is_cancelled = event.kind == "done", event.kind == "cancelled"
    return Outcome(event.request, is_done, event.text, event.values, event.details, is_cancelled, event.arrays)
