"""Preparing the data of a run ahead of it: python Training/prepare.py CONFIG.yaml [key=value ...]."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..data.data_checks import refuse_problems
from ..data.datasets import read_data_set
from ..data.prepared_cases import prepare_files, settings_of, write_index
from ..data.targets import select
from .config import Config, read_config
from .program import ends_with_a_sentence
from .run_data import load_data


def prepare_data(config: Config) -> Path:
    """Check and prepare the data of a configuration; returns the folder, which takes the place of a single data set as
    `data.root`.
    """
    if config.data.sources:
        return _prepare_sources(config)
    data, schema, multiple = config.data, config.schema, config.network.multiple
    data_set = read_data_set(Path(data.root), data.names)
    tree = select(data_set.table, data.labels)
    refuse_problems([data_set], config)
    keys = prepare_files(data_set, tree, config.input, schema, multiple, Path(data.cache), data.annotated)
    index = write_index(
        Path(data.cache), keys, settings_of(data_set, tree, config.input, schema, multiple), data.annotated
    )
    print(f"{len(keys)} cases with {len(tree.leaves)} labels are prepared: train on them with data.root={index.parent}")
    return index.parent


def _prepare_sources(config: Config) -> Path:
    """The cases of all sources in the cache, where a run with the same settings finds them."""
    data = load_data(config)
    count = sum(map(len, (data.training, data.validation, data.meta, data.target)))
    cache = config.data.cache
    print(f"{count} cases of {len(config.data.sources)} sources are prepared in {cache}: train with the same settings")
    return Path(cache)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="a YAML file, or the name of a shipped one, such as malc2012_cpu")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings that replace those of the file, such as data.cache=prepared",
    )
    arguments = parser.parse_intermixed_args()
    with ends_with_a_sentence():
        prepare_data(read_config(arguments.config, arguments.overrides))
