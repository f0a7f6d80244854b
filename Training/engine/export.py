"""From a trained network to a model package: description, half-precision weights and a model card that says what it is
for and what not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from LabelConditionedSegmentationLib import __version__
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import save_package
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema

from ..data.prepared_cases import Case
from ..data.targets import can_be_flipped
from ..evaluation.scan_features import statistics_of_training
from .config import Config
from .kept_files import writing_to


def write_package(
    path: Path,
    network: LabelConditionedNetwork,
    tree: LabelTree,
    schema: MetadataSchema,
    config: Config,
    training: Sequence[Case],
    facts: dict[str, Any],
) -> Path:
    """Write the package of a run; returns its folder. Raises OutputError where it cannot be written."""
    about = about_run(config, training, facts)
    card = model_card(about, tree, schema, config)
    features = statistics_of_training(network, tree, config.package.patch, training)
    with writing_to(path.parent):
        package = save_package(
            path,
            network,
            config.package.name,
            config.input,
            tree,
            schema,
            config.package.patch,
            card,
            about,
            config.package.flip and can_be_flipped(tree),
            training_statistics(training) | (features.ranges if features else {}),
            config.package.advice,
            features.levels if features else None,
        )
    return package.path


def about_run(config: Config, training: Sequence[Case], facts: dict[str, Any]) -> dict[str, Any]:
    """What a package says of itself and of the run that it comes from."""
    return {
        "title": config.package.title or config.package.name,
        "description": config.package.description,
        "licence": config.package.licence,
        "citation": config.package.citation,
        "intended_use": config.package.intended_use,
        "not_for": config.package.not_for,
        "provenance": {
            "data": config.package.data,
            "training_cases": sorted(case.name for case in training),
            **_about_scans_without_labels(config, training),
            "method": config.method,
            "steps": facts["step"],
            "seed": config.seed,
            "history": facts.get("history", []),
            "trained_with": f"LabelConditionedSegmentation {__version__}",
            "date": datetime.now(UTC).date().isoformat(),
        },
    }


def _about_scans_without_labels(config: Config, training: Sequence[Case]) -> dict[str, Any]:
    """Which of the cases nobody labelled and, where a teacher did, which model that was; nothing where there are
    none.
    """
    sources = config.data.sources
    unlabelled = sorted(case.name for case in training if sources and sources[case.source].role == "target")
    if config.teacher.share == 0:
        return {"without_labels": unlabelled} if unlabelled else {}
    return {"labelled_by_teacher": unlabelled, "teacher": Path(config.teacher.package or config.init_from).name}


def training_statistics(training: Sequence[Case]) -> dict[str, list[float]]:
    """Ranges that scans like the training scans have, with room on both sides: volumes from half to 1.6 times, other
    measures 6 deviations around their mean.
    """
    ranges: dict[str, list[float]] = {}
    for name in dict.fromkeys(name for case in training for name in case.statistics):
        values = np.array([case.statistics[name] for case in training if name in case.statistics])
        room = 6 * max(float(values.std()), 0.05)
        ranges[name] = (
            [0.5 * float(values.min()), 1.6 * float(values.max())]
            if name.endswith("_ml")
            else [float(values.mean()) - room, float(values.mean()) + room]
        )
    return ranges


def model_card(about: dict[str, Any], tree: LabelTree, schema: MetadataSchema, config: Config) -> str:
    """The card in Markdown."""
    lines = [f"- {field.name}: {field.description or 'no description'}; {field.allowed}" for field in schema.fields]
    fields = "\n".join(lines)
    steps = ", then ".join([*about["provenance"]["history"], f"{about['provenance']['steps']} steps on these cases"])
    taught, teacher = (about["provenance"].get(key) for key in ("labelled_by_teacher", "teacher"))
    teaching = f"Nobody labelled {len(taught)} of them: the model `{teacher}` did.\n" if taught else ""
    if unlabelled := about["provenance"].get("without_labels"):
        teaching = f"Nobody labelled {len(unlabelled)} of them: the network was adapted to their look.\n"
    citations = "\n".join(f"- {entry}" for entry in about["citation"])
    return f"""# {about["title"]}

{about["description"]}

## Licence
{about["licence"] or "Not stated."}

## Intended use
{about["intended_use"] or "Not stated."}

## Not for
{about["not_for"] or "Not stated."}

## What it was trained on
{about["provenance"]["data"] or "Not stated."}

Training cases ({len(about["provenance"]["training_cases"])}): {", ".join(about["provenance"]["training_cases"])}.
{teaching}Ages, sexes, scanners and diseases outside of these were never seen: expect it to be worse there.

## Input
{", ".join(config.input.channels)}, resampled to {" x ".join(f"{s:g}" for s in config.input.spacing)} mm. Metadata that it can use, each of them optional:

{fields or "- none"}

## Labels
{len(tree.leaves)} structures in a tree of {len(tree)} labels; `lcs labels` prints them.

## Training
Method `{config.method}`, seed {config.seed}, {about["provenance"]["date"]}: {steps}.
Measured accuracy stands in BENCHMARKS.md of the project.

## Citations
{citations or "- none stated"}
"""  # noqa: E501
