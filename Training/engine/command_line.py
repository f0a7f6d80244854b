"""Train a segmentation network: python Training/train.py CONFIG.yaml [key=value ...]. Lightning Fabric places it on
devices and processes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from LabelConditionedSegmentationLib.core.errors import LCSError
from LabelConditionedSegmentationLib.core.inference.memory_ladder import is_out_of_memory

from .config import Config, read_config
from .loop import train
from .processes import leave_together
from .settings_help import settings_in_words


class _Help(argparse.Action):
    """The settings stand in the help alone: describing them takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.epilog = settings_in_words()
        parser.print_help()
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, add_help=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-h", "--help", nargs=0, action=_Help, help="show this text, with every setting, and end")
    parser.add_argument("config", type=Path, help="a YAML file, or the name of a shipped one, such as malc2012_cpu")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings that replace those of the file, such as optimizer.steps=100",
    )
    return parser


def main() -> None:
    arguments = make_parser().parse_args()
    config = read_config(arguments.config, arguments.overrides)
    try:
        train(config)
        leave_together()
    except LCSError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise SystemExit(_out_of_memory(config)) from None


def _out_of_memory(config: Config) -> str:
    return (
        f"Memory ran out. Lower, in this order, optimizer.batch ({config.optimizer.batch}), data.points"
        f" ({config.data.points}), data.patch ({list(config.data.patch)}) or network.widths"
        f" ({list(config.network.widths)}); the run then starts anew."
    )
