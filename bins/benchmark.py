"""How fast a recipe is here. `--help` lists the options; every experiment is a line of JSON on standard output."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import os

from config.load import load_config
from utils.errors import UserError
from utils.program import Parser, run


def main() -> None:
    """Parses, and runs what was asked for."""
    arguments = parse_arguments()
    config = load_config(arguments.config, arguments.set)
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks

    import torch

    from bins.benchmarking import runs
    from utils.jsonl import dump_line

    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: there is no GPU that torch can use", 2)
    experiments = {"train": runs.training, "inference": runs.inference, "preprocess": runs.preprocessing}
    for record in experiments[arguments.what](config, arguments):
        print(dump_line({"what": arguments.what, "config": arguments.config, **record}), flush=True)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description="Measure the speed of a recipe; every experiment is a line of JSON.")
    parser.add_argument("--config", required=True, metavar="FILE", help="exp_config.json of the recipe")
    parser.add_argument("--what", required=True, choices=("train", "inference", "preprocess"))
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU where there is one")
    parser.add_argument(
        "--steps", type=int, metavar="N", help="optimizer steps, batches, or utterances of stage 1 (default: by device)"
    )
    parser.add_argument(
        "--real", action="store_true", help="the configured corpus itself; else random data of its utterances' lengths"
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="FastSpeech2's training: in turns with a step without buckets, with a loop over phones and plain "
        "convolutions",
    )
    parser.add_argument("--num_workers", type=int, metavar="N", help="processes of stage 1 (default: the cores)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")
    arguments = parser.parse_args()
    for name in ("steps", "num_workers"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            parser.error(f"argument --{name}: must be at least 1, got {value}")
    if arguments.baseline and arguments.what != "train":
        parser.error("argument --baseline: only with --what train")
    return arguments


if __name__ == "__main__":
    run(main, "Interrupted.")
