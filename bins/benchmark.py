"""Measures how fast a recipe is on this machine; every experiment prints a line of JSON. See --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import os

from config.load import load_config
from utils.errors import UserError
from utils.program import Parser, run

WHAT = ("train", "inference", "speech", "preprocess", "align")


def main() -> None:
    """Parses the command line and runs the experiments."""
    arguments = parse_arguments()
    if arguments.config is not None:
        load_config(arguments.config, arguments.set)  # names a mistake before the slow imports
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks

    import torch

    from bins.benchmarking.measure import Options
    from bins.benchmarking.suite import Entry, entries, run_experiment, run_suite
    from utils.jsonl import dump_line
    from utils.logging import setup_logging

    on_gpu = torch.cuda.is_available()
    if arguments.device == "cuda" and not on_gpu:
        raise UserError("--device cuda: there is no GPU that torch can use", 2)
    if arguments.suite is not None:
        setup_logging()
        print(run_suite(arguments.suite, on_gpu, arguments.budget, entries(on_gpu)))
        return
    options = Options(arguments.steps, arguments.real, arguments.baseline, arguments.num_workers, arguments.kernels)
    entry = Entry(arguments.what, arguments.config, tuple(arguments.set))
    for record in run_experiment(entry, options):
        print(dump_line({"what": arguments.what, "config": arguments.config, **record}), flush=True)


def parse_arguments() -> argparse.Namespace:
    """Parses and checks the command line."""
    parser = Parser(description="Measure the speed of a recipe; every experiment prints a line of JSON.")
    parser.add_argument("--config", metavar="FILE", help="exp_config.json of the recipe")
    parser.add_argument("--what", choices=WHAT, help="stage 2, one network, text to audio, stage 1, the aligner")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU if there is one")
    parser.add_argument(
        "--steps", type=int, metavar="N", help="optimizer steps, batches, or utterances of stage 1 (default: by device)"
    )
    parser.add_argument(
        "--real", action="store_true", help="use the configured corpus; default: random data of LJSpeech's lengths"
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="also measure FastSpeech2's training without buckets, with a loop over phones and plain convolutions",
    )
    parser.add_argument("--num_workers", type=int, metavar="N", help="processes of stage 1 (default: the cores)")
    parser.add_argument("--kernels", type=Path, metavar="FILE", help="write a training step's GPU kernels to FILE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")
    parser.add_argument(
        "--suite", type=Path, metavar="FOLDER", help="run the whole table, write it to FOLDER as JSON and Markdown"
    )
    parser.add_argument(
        "--budget", type=float, default=3600, metavar="S", help="seconds that the suite may take (3600)"
    )
    arguments = parser.parse_args()
    for name in ("steps", "num_workers", "budget"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            parser.error(f"argument --{name}: must be at least 1, got {value}")
    if arguments.suite is None and (arguments.config is None or arguments.what is None):
        parser.error("give --config and --what, or --suite")
    if arguments.suite is not None and (arguments.config is not None or arguments.what is not None):
        parser.error("argument --suite: not with --config or --what")
    if arguments.baseline and arguments.what != "train":
        parser.error("argument --baseline: only with --what train")
    return arguments


if __name__ == "__main__":
    run(main, "Interrupted.")
