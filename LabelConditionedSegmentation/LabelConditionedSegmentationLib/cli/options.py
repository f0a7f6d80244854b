"""The words of the `lcs` command: its commands and their options."""

from __future__ import annotations

import argparse
from typing import Any

from ..core.adaptation.adapters import ADAPTERS, DEFAULT_ADAPTER, DEFAULT_STEPS, MOST_STEPS
from .terminal import answer

EXAMPLES = """examples:
  lcs segment scan.nii.gz -o scan.seg.nrrd                          all labels, opens in 3D Slicer
  lcs segment scan.nii.gz -o hippocampi.nii.gz --labels "Left Hippocampus,Right Hippocampus"
  lcs segment scan.nii.gz -o scan.seg.nrrd --metadata age=31 sex=F --volumes scan.csv --preview scan.png
  lcs brain scan.nii.gz -o brain.nii.gz                             the scan without its skull
  lcs segment scans/ -r -o "results/{name}.nii.gz"                  every scan below a folder
  lcs segment scans/ -r -o results/ --workers 4                     the same by four processes
  lcs segment scan.nii.gz -o claustrum.seg.nrrd --example atlas.nii.gz mask.nii.gz --name Claustrum
"""


Options = argparse.ArgumentParser | argparse._ArgumentGroup
"""What options are added to."""


class Parser(argparse.ArgumentParser):
    """Prints its help as any other answer is printed."""

    def print_help(self, file: object = None) -> None:  # noqa: ARG002
        """To standard output, whatever `file`. Raises OutputError where it cannot be written."""
        answer(self.format_help().rstrip("\n"))


def build_parser() -> argparse.ArgumentParser:
    """All commands and options."""
    parser = Parser(
        prog="lcs",
        description="Label conditioned segmentation: say which structures you want and what is known about the scan.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    segment = _add_command(commands, "segment", "segment scans", "Segment one scan or many.", EXAMPLES)
    _add_scans(segment)
    _add_output(segment)
    _add_model(segment)
    _add_wanted(segment)
    _add_examples(segment)
    _add_stripped(segment)
    _add_adaptation(segment)
    _add_reading(segment)
    _add_further_outputs(segment)
    _add_division(segment)
    _add_debug(segment)
    brain = commands.add_parser("brain", help=BRAIN, description=f"{BRAIN[0].upper()}{BRAIN[1:]}.")
    brain.set_defaults(**vars(segment.parse_args([])))
    _add_brain(brain)
    spread = "spread painted strokes into structures"
    _add_propagate(_add_command(commands, "propagate", spread, PROPAGATE, STROKE_EXAMPLES))
    bids = _add_command(commands, "bids", "segment a BIDS data set", BIDS, BIDS_EXAMPLES)
    bids.set_defaults(**vars(segment.parse_args([])))
    _add_bids(bids)
    relate = "tell which label of one protocol is which part of another"
    _add_relations(_add_command(commands, "relations", relate, RELATIONS, RELATION_EXAMPLES))
    labels = commands.add_parser(
        "labels",
        help="print the label tree of a model",
        description="Print the label tree of a model, or what matches.",
    )
    _add_model(labels)
    labels.add_argument(
        "--search",
        metavar="TEXT",
        help="only labels whose name, synonym, code or protocol holds every word of TEXT",
    )
    _add_debug(labels)
    models = commands.add_parser(
        "models", help="print the models found", description="Print the model packages found, with licence and size."
    )
    _add_debug(models)
    return parser


def _add_command(commands: Any, name: str, summary: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A command whose help ends with examples. summary: of the list of commands."""
    form = argparse.RawDescriptionHelpFormatter
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=examples, formatter_class=form
    )
    return made


BRAIN = "find the brain in a scan of a head and write the scan without its skull"


def _add_brain(brain: argparse.ArgumentParser) -> None:
    """`lcs brain` is `lcs segment` with other names for the two results; of what it has no word for, it has the
    defaults of that.
    """
    _add_scans(brain)
    brain.add_argument(
        "-o",
        "--output",
        dest="masked_scan",
        required=True,
        metavar="OUT",
        help="the scan without its skull: .nii.gz, .nii, .nrrd or .mha; for several scans a path with {name} in it",
    )
    brain.add_argument("--mask", dest="output", metavar="MASK", help="write the mask of the brain as well")
    _add_existing(brain)
    brain.add_argument(
        "--model", default="head", metavar="NAME|PATH", help="a model with a label Brain; head by default"
    )
    _add_reading(brain)
    _add_device(brain)
    brain.add_argument("--preview", metavar="PNG", help="write a picture of three slices with the brain over the scan")
    brain.add_argument("--report", metavar="JSON", help="write the run report")
    _add_division(brain)
    _add_debug(brain)
    brain.set_defaults(labels="Brain", ignore_file_metadata=True)


PROPAGATE = "Spread strokes that were painted on scans into structures, by random walks in a box around them."

STROKE_EXAMPLES = """examples:
  lcs propagate scan.nii.gz strokes.seg.nrrd -o structures.seg.nrrd
  lcs propagate scan.nii.gz strokes.nii.gz --background 9 -o structures.nii.gz --certainty certainty.nii.gz
  lcs propagate scan.nii.gz strokes.seg.nrrd -o mended.seg.nrrd --features --prior
  lcs propagate a.nii.gz a.seg.nrrd b.nii.gz b.seg.nrrd -o results/
"""


def _add_propagate(propagate: argparse.ArgumentParser) -> None:
    propagate.add_argument(
        "scans",
        nargs="+",
        metavar="SCAN STROKES",
        help=(
            "a scan, and what was painted on it: a .seg.nrrd, or a label map whose values are classes (a .json beside"
            " it names them); several pairs make a batch"
        ),
    )
    propagate.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="the structures, as those of `lcs segment`. For several scans: a folder, or a path with {name} in it",
    )
    _add_replacing(propagate)
    propagate.add_argument(
        "--background",
        metavar="NAME|ID",
        help="which strokes are the background, where none is called Background",
    )
    walks = propagate.add_argument_group("a network beside the strokes")
    walks.add_argument("--features", action="store_true", help="walk over what the network found, not over intensities")
    walks.add_argument(
        "--prior", action="store_true", help="believe the network where strokes are far; names are those of its labels"
    )
    _add_model(walks)
    _add_protocol(walks)
    _add_known(walks)
    _add_stripped(walks)
    _add_device(walks)
    _add_reading(propagate)
    propagate.add_argument(
        "--certainty", metavar="FILE", help="write how certain every voxel is, 0 to 1: 1 - entropy / log(classes)"
    )
    propagate.add_argument(
        "--probabilities", metavar="FILE", help="write how probable each structure is in every voxel, 0 to 1"
    )
    _add_debug(propagate)


BIDS = "Segment the scans of a BIDS data set into a data set of BIDS derivatives (a BIDS app)."

BIDS_EXAMPLES = """examples:
  lcs bids study study/derivatives/lcs participant
  lcs bids study study/derivatives/lcs participant --participant-label 01 02 --skip-existing
  lcs bids study study/derivatives/lcs group
"""


def _add_bids(bids: argparse.ArgumentParser) -> None:
    bids.add_argument("bids_dir", metavar="BIDS_DIR", help="the data set")
    bids.add_argument("output_dir", metavar="OUTPUT_DIR", help="the data set of derivatives")
    bids.add_argument(
        "level",
        metavar="participant|group",
        choices=("participant", "group"),
        help="participant segments scans; group puts the volumes of all into one table, with a page to look at, the"
        " oddest scans first",
    )
    bids.add_argument(
        "--participant-label", nargs="+", default=[], metavar="LABEL", help="only these, with or without sub-"
    )
    bids.add_argument(
        "--suffix", default="T1w", metavar="SUFFIX", help="which scans in the folders anat; T1w by default"
    )
    bids.add_argument(
        "--probabilities",
        action="store_const",
        const="probseg",
        help="write how probable each label is in every voxel (_probseg.nii.gz), 4 bytes a voxel and label",
    )
    _add_model(bids)
    wanted = bids.add_mutually_exclusive_group()
    wanted.add_argument("--labels", metavar='"A,B"', help="labels by name, synonym or id; every leaf by default")
    wanted.add_argument("--labels-file", metavar="F", help="a text file with one label a line")
    _add_protocol(bids)
    _add_known(bids)
    _add_stripped(bids)
    _add_existing(bids)
    _add_device(bids)
    _add_division(bids)
    _add_debug(bids)


RELATIONS = """Which label of one protocol of a model is which part of another, as the trained network sees it.

Numbers of a label and another one, each between 0 and 1, the cosines from -1:
  overlap      of the voxels of the scans that the label wins, the share that the other one wins in its own protocol
  probability  the mean probability of the other one, among the labels of its protocol, in the voxels of the label
  features     of a model of one protocol, whose labels exclude each other, in place of these two: the mean cosine of
               the features in the voxels of the label and the prompt of the other one
  prompts      the cosine of both prompts, which needs no scan: of several protocols less the mean prompt of their own
               (a vector added to all of them changes no answer), of one protocol as they are
The first three are taken over all voxels of all scans, on the grid of the network's features; scans need no labels. A
row is told where its probability (else its features, without scans its prompts) is at least --least."""

RELATION_EXAMPLES = """examples:
  lcs relations protocols_2mm scan.nii.gz -o relations.csv --picture relations.png
  lcs relations protocols_2mm                                       the prompts alone
"""


def _add_relations(relations: argparse.ArgumentParser) -> None:
    relations.add_argument("model", metavar="MODEL", help="a model by name, or a package folder or zip")
    relations.add_argument("scans", nargs="*", default=[], metavar="SCAN", help="scans that the model may be asked of")
    relations.add_argument("-o", "--output", metavar="TABLE", help="write all relations: .csv, or .md for markdown")
    relations.add_argument("--picture", metavar="PNG", help="write a picture of all relations, a heat map")
    relations.add_argument(
        "--least", type=float, default=0.1, metavar="R", help="the least relation that is told; 0.1 by default"
    )
    relations.add_argument("--overwrite", action="store_true", help="replace files that exist")
    _add_known(relations)
    _add_stripped(relations)
    _add_reading(relations)
    _add_device(relations)
    _add_debug(relations)
    relations.set_defaults(channel=[], recursive=False)


def _add_scans(segment: argparse.ArgumentParser) -> None:
    scans = segment.add_argument(
        "scans",
        nargs="+",
        default=[],
        metavar="SCAN",
        help="a NIfTI, NRRD or MHA file, or a folder with one DICOM series; several make a batch",
    )
    scans.required = False  # where --channel stands in its place
    segment.add_argument(
        "--channel",
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help=(
            "in place of SCAN, for a model of several channels: the file of each, such as T1=a.nii.gz T2=b.nii.gz. In a"
            " batch the channels of a scan are the files NAME_0000, NAME_0001 and so on, in the order in which `lcs"
            " models` tells them"
        ),
    )
    segment.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help=(
            "SCAN is a folder: take every scan file and every DICOM series below it, apart from hidden ones and from"
            " results"
        ),
    )


def _add_output(segment: argparse.ArgumentParser) -> None:
    segment.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help=(
            ".seg.nrrd is a Slicer segmentation with names, colours and terminology; .nii.gz, .nii, .nrrd and .mha are"
            " label maps with a .json beside them that names the values; .dcm is a DICOM segmentation of a DICOM"
            " series. For several scans: a folder, or a path with {name} in it"
        ),
    )
    _add_existing(segment)


def _add_existing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--force", action="store_true", help="write a result too that was found to be wrong, which is refused otherwise"
    )
    _add_replacing(parser)


def _add_replacing(parser: argparse.ArgumentParser) -> None:
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace files that exist")
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help=(
            "go on with a batch that was cut short: leave out scans whose files all exist, do the others, and add them"
            " to the tables"
        ),
    )


def _add_wanted(segment: argparse.ArgumentParser) -> None:
    wanted = segment.add_mutually_exclusive_group()
    wanted.add_argument(
        "--labels",
        metavar='"A,B"',
        help=(
            'labels by name, synonym or id, separated by commas; "all" for every leaf, which is the default unless'
            " labels by example are asked for"
        ),
    )
    wanted.add_argument(
        "--labels-file", metavar="F", help="a text file with one label a line; lines that begin with # are skipped"
    )
    _add_protocol(segment)
    _add_known(segment)


def _add_protocol(parser: Options) -> None:
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help=(
            "of a model that divides a scan in several ways: only the labels of this one, by the names that they have"
            " in it"
        ),
    )


def _add_known(segment: Options) -> None:
    segment.add_argument(
        "--metadata",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help=(
            "what is known about the scan, such as age=31 sex=F; the rest is taken from DICOM headers, JSON sidecars,"
            " sessions.tsv and participants.tsv where they say it. age=unknown withholds the age"
        ),
    )
    segment.add_argument(
        "--ignore-file-metadata",
        action="store_true",
        help="nothing is known about scans and atlases but what is said with --metadata and --example-metadata",
    )


def _add_stripped(parser: Options) -> None:
    parser.add_argument(
        "--stripped",
        choices=("auto", "yes", "no"),
        default="auto",
        help=(
            "whether the scan shows nothing but what the model looks inside of, such as a brain without its skull; by"
            " default that is found out, and where it shows more the brain is found first"
        ),
    )


def _add_adaptation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "adapting to the scan",
        "for a scan of another kind than the model was trained on, such as another scanner, contrast or noise: a copy"
        " of the network is adapted to it, without labels, and taken where its features come nearer to those"
        " that the model knows; an experiment, which takes about three times as long and made no scan better yet",
    )
    group.add_argument(
        "--adapt", action="store_true", help="adapt the network to each scan; the report says what became"
    )
    ways = "; ".join(f"{name}, {adapter.what}" for name, adapter in ADAPTERS.items())
    group.add_argument("--adapter", choices=ADAPTERS, metavar="NAME", help=f"how: {ways}. {DEFAULT_ADAPTER} by default")
    group.add_argument(
        "--adapt-steps", type=int, metavar="N", help=f"steps, 1 to {MOST_STEPS}; {DEFAULT_STEPS} by default"
    )


def _add_reading(segment: argparse.ArgumentParser) -> None:
    reading = segment.add_argument_group("how files are read")
    reading.add_argument(
        "--series", metavar="N|UID", help="which DICOM series of a folder that holds several: its number or its UID"
    )
    reading.add_argument(
        "--fill-gaps", action="store_true", help="interpolate DICOM slices that are missing or unevenly spaced"
    )
    reading.add_argument(
        "--assume-orientation",
        metavar="LPS",
        help="for files that do not tell left from right: the side that each voxel axis runs to, as three letters",
    )
    reading.add_argument(
        "--not-a-label-map",
        action="store_true",
        help="the scan, or the atlas, is no label map although it looks like one",
    )


def _add_device(parser: Options) -> None:
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto (the default: a GPU if there is one), cpu, cuda:0, mps"
    )


def _add_further_outputs(segment: argparse.ArgumentParser) -> None:
    _add_device(segment)
    segment.add_argument(
        "--preview", metavar="PNG", help="write a picture of three slices with the labels over the scan"
    )
    segment.add_argument(
        "--report", metavar="JSON", help="write the run report: versions, device, timings, memory, findings"
    )
    segment.add_argument(
        "--probabilities",
        metavar="FILE",
        help=(
            "write how probable each of the labels asked for is in every voxel, 0 to 1: one label as a 3D image,"
            " several as a 4D NIfTI file (or as the components of a .nrrd or .mha file), 4 bytes a voxel and label,"
            " with a .json beside it that names them; of a DICOM series also as a fractional DICOM segmentation, .dcm."
            " For several scans: a folder, or a path with {name} in it"
        ),
    )
    segment.add_argument(
        "--masked-scan",
        metavar="FILE",
        help=(
            "write the scan itself with nothing left outside of the labels asked for, such as a skull-stripped scan for"
            " --model head --labels Brain; -o may be left out then"
        ),
    )
    segment.add_argument(
        "--instances",
        metavar='"A,B"',
        help=(
            "number the connected pieces of labels whose pieces are things of their own, such as lesions, from the"
            " largest one: a label map beside the segmentation, and a .json with the volume and centre of each piece"
        ),
    )
    segment.add_argument("--volumes", metavar="CSV", help="write a table of volumes in millilitres")
    segment.add_argument(
        "--structured-report",
        metavar="DCM",
        help=(
            "write the volumes as a DICOM structured report (TID 1500) on the DICOM segmentation that -o names. For"
            " several scans: a folder, or a path with {name} in it"
        ),
    )


def _add_division(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "many scans", "divided among processes that keep the model loaded, by Dask (an extra: distributed)"
    )
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes on this machine, among which its cores are divided; at most one a GPU",
    )
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS|FILE",
        help="the workers of a cluster, by the address of their Dask scheduler or the file that it wrote",
    )


def _add_model(parser: Options) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="a model by name (see `lcs models`), or a package folder or zip; the shipped one by default",
    )


def _add_examples(parser: argparse.ArgumentParser) -> None:
    examples = parser.add_argument_group(
        "labels by example",
        "structures that the model does not know, found because they are shown on another scan, an atlas",
    )
    _add_shown(examples)
    examples.add_argument(
        "--inside", metavar="LABEL", help="a label of the model that the structure lies inside of; anywhere by default"
    )
    examples.add_argument(
        "--example-metadata",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="what is known about the atlases, as --metadata",
    )
    examples.add_argument(
        "--save-label",
        metavar="FILE",
        help="keep what was learned in a .lcs-label.json file; {name} in it stands for the name of the structure",
    )
    examples.add_argument(
        "--label-file",
        action="append",
        default=[],
        metavar="FILE",
        help="a label that was kept, here or in 3D Slicer; may be given several times",
    )


def _add_shown(examples: argparse._ArgumentGroup) -> None:
    """What shows a structure, and which of the structures that it shows is meant."""
    examples.add_argument(
        "--example",
        nargs=2,
        action="append",
        default=[],
        metavar=("ATLAS", "MASK"),
        help=(
            "a scan and what shows the structure on it: a mask (every voxel that is not 0), or a .seg.nrrd; may be"
            " given several times"
        ),
    )
    examples.add_argument(
        "--name",
        metavar="NAME",
        help="what the structure is called; without it the segments of a .seg.nrrd are taken, under their own names",
    )
    examples.add_argument(
        "--segment",
        action="append",
        default=[],
        metavar="SEGMENT",
        help=(
            "which segment of a .seg.nrrd it is, by default the one called NAME or the only one; without --name it may"
            " be given several times"
        ),
    )


def _add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
