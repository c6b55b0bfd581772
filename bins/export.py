"""Exports the generator of a HiFi-GAN for other programs: jik876's config.json and g_*, or only the fused weights."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this repository's packages win over any of their names

import argparse
from collections.abc import Sequence

from utils.errors import UserError
from utils.logging import logger, setup_logging
from utils.program import Parser, run


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and exports.

    Args:
        argv: command line; None: sys.argv.
    """
    setup_logging()
    run(lambda: export(parse(argv)), "Interrupted: the folder is incomplete.")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the flags."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--vocoder_dir",
        type=Path,
        required=True,
        help="the folder of a HiFi-GAN in any known layout, or one checkpoint",
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="a new folder, or an empty one")
    parser.add_argument(
        "--format",
        choices=("jik876", "safetensors"),
        required=True,
        help="jik876: config.json and g_<step>; safetensors: args.json and model.safetensors",
    )
    return parser.parse_args(argv)


def export(args: argparse.Namespace) -> None:
    """Writes the generator.

    Raises:
        UserError: the vocoder cannot be used, or the folder is not empty.
    """
    output_dir = args.output_dir
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise UserError(f"--output_dir {output_dir}: is not empty, and nothing is overwritten: give a new folder", 2)

    from models.vocoder.hifigan.published.export import export_vocoder

    path = export_vocoder(args.vocoder_dir, output_dir, args.format)
    logger.info("wrote %s; --vocoder_dir %s speaks with it", path, output_dir)


if __name__ == "__main__":
    main()
