"""Scores the published form of labels by example: python -m Training.studies.published_form RUN --atlas A --cases X [Y
...]. RUN is the output folder of its training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import LCSError
from LabelConditionedSegmentationLib.core.network.architecture import ATLAS_PAIR
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.scan.preprocessing import prepare
from safetensors import safe_open

from ..data.datasets import CaseFiles, read_data_set, read_image, read_labels
from ..data.prepared_cases import Case, prepare_cases
from ..data.sources import only_root
from ..data.targets import TargetCode
from ..engine.checkpoint import read_facts
from ..engine.config import Config, read_config
from ..engine.validation import dice_of_classes
from ..methods.atlas_pair import find_by_pair


def score(run: Path, atlas: str, cases: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Case -> Dice of every leaf of the data set's table, on the network's grid and on the scan's own (labels taken
    over from the nearest voxel).

    NaN where the atlas does not show a label or the case does not have it. SystemExit where the run is no such one, or
    a case is missing.
    """
    config = read_config(run / "config.yaml", [])
    if config.network.conditioning != ATLAS_PAIR:
        raise SystemExit(
            f'The run "{run}" has network.conditioning={config.network.conditioning}; packages by example are scored by'
            " Training/studies/labels_by_example.py."
        )
    data_set = read_data_set(only_root(config.data, "This score"), [atlas, *cases])
    missing = sorted({atlas, *cases} - {case.name for case in data_set.cases})
    if missing:
        raise SystemExit(f'"{data_set.root}" has no case called {", ".join(missing)}.')
    tree, schema = data_set.table, config.schema
    code = TargetCode(tree, tree, data_set.ignored_ids)
    prepared = {
        case.name: case
        for case in prepare_cases(
            data_set, tree, config.input, schema, config.network.multiple, Path(config.data.cache)
        )
    }
    network = load_network(run, config, schema)
    masks = {
        n: prepared[atlas].target == n for n in range(1, code.classes) if bool((prepared[atlas].target == n).any())
    }
    unshown = [n - 1 for n in range(1, code.classes) if n not in masks]
    out = {}
    for files in data_set.cases:
        if files.name in cases:
            rows = _dice(
                find_by_pair(network, prepared[files.name], prepared[atlas], masks),
                prepared[files.name],
                files,
                code,
                config,
            )
            for row in rows:
                row[unshown] = np.nan
            out[files.name] = rows
    return out


def load_network(run: Path, config: Config, schema: MetadataSchema) -> LabelConditionedNetwork:
    """The network of a run with its averaged weights.

    Such a network has no prompts, so that the number of classes is of no meaning.
    """
    path = run / "last.safetensors"
    read_facts(path)
    network = LabelConditionedNetwork(config.network, 1, schema.fields)
    with safe_open(path, framework="pt") as file:
        network.load_state_dict({name: file.get_tensor(f"average.{name}") for name in network.state_dict()})
    return network.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _dice(
    found: torch.Tensor, case: Case, files: CaseFiles, code: TargetCode, config: Config
) -> tuple[np.ndarray, np.ndarray]:
    """Dice on the network's grid, and on the scan's."""
    grid = prepare(read_image(files), config.input, config.network.multiple, with_position=False).grid
    labels = read_labels(files)
    on_scan = resample(found[..., None].to(torch.int16), grid, Grid.of(labels), nearest=True)[..., 0]
    truth = torch.from_numpy(code.encode(labels.array[0]))
    return dice_of_classes(found, case.target, code.classes), dice_of_classes(on_scan.long(), truth, code.classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the output folder of a training with network.conditioning=atlas_pair")
    parser.add_argument("--atlas", required=True, help="the case that shows every structure")
    parser.add_argument("--cases", required=True, nargs="+", help="the cases to find them in")
    arguments = parser.parse_args()
    try:
        found = score(arguments.run, arguments.atlas, arguments.cases)
    except LCSError as error:
        raise SystemExit(str(error)) from None
    for case, (coarse, fine) in found.items():
        print(
            f"{case}: mean Dice {np.nanmean(coarse):.4f} on the network's grid, {np.nanmean(fine):.4f} on the scan's,"
            f" over {int(np.isfinite(fine).sum())} structures"
        )


if __name__ == "__main__":
    main()
