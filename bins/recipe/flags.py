"""Declares the flags of the recipes and of the programs that they start, and checks their combinations."""

import argparse

from bins.recipe.command_line import Flag, Program
from utils.errors import UserError

STAGE = Flag("stage", "STAGE", "the stage to run", unset="none, required", letter="s")
STOP_STAGE = Flag(
    "stop_stage", "STAGE", "the last of the stages to run, one after the other", unset="the same as --stage"
)
GPU = Flag(
    "gpu", "LIST", 'GPUs to use; "0,1" trains on two', unset="CUDA_VISIBLE_DEVICES, or else 0; without a GPU, the CPU"
)
HELP = Flag("help", "", "prints this text", unset="off", letter="h")

CONFIG = Flag("config", "FILE", "the experiment's configuration", letter="c")
SET = Flag(
    "set", "KEY=VALUE", "overrides a key of the configuration, as in train.batch_size=8; repeatable", repeatable=True
)
NUM_WORKERS = Flag(
    "num_workers", "N", "processes that prepare data (about 0.2 GB each) or load it", unset="as the machine allows"
)
NAME = Flag("name", "NAME", "the experiment's name; its folder is log_dir/NAME", letter="n", passed_as="exp_name")
RESUME = Flag("resume", "", "continues from the experiment's newest checkpoint", unset="off")
RESUME_FROM = Flag("resume_from_ckpt_path", "DIR", "continues from this checkpoint", must_exist=True)
RESUME_TYPE = Flag(
    "resume_type",
    "TYPE",
    "resume: all of the checkpoint; finetune: only the weights, which may be a published model's",
    default="resume",
    choices=("resume", "finetune"),
)
ACOUSTIC_DIR = Flag(
    "acoustic_dir", "DIR", "the acoustic model's experiment, or a checkpoint in it (finetune)", must_exist=True
)
ACOUSTIC_DATA_DIR = Flag(
    "acoustic_data_dir", "DIR", "the features that it was trained on (finetune)", unset="data/DATASET", must_exist=True
)

EXPERIMENT = Flag("infer_expt_dir", "DIR", "the experiment, or one checkpoint in it, to speak with")
OUTPUT_DIR = Flag("infer_output_dir", "DIR", "where the wav files go", unset="the folder result in the experiment")
MODE = Flag("infer_mode", "MODE", "single: one text; batch: those of a data set or a file", choices=("single", "batch"))
TEXT = Flag("infer_text", "TEXT", "the text to speak (single)")
TEXT_FILE = Flag("infer_file", "FILE", "texts to speak, one per line: TEXT, or ID|TEXT")
DATASET = Flag("infer_dataset", "NAME", "the data set to speak from (batch)")
TESTING_SET = Flag(
    "infer_testing_set",
    "NAME",
    "which part of it: test, golden_test, valid or train (batch)",
    choices=("test", "golden_test", "valid", "train"),
)
SPEAKER = Flag(
    "infer_speaker_name",
    "NAME",
    "the voice of a model with several",
    unset="none; needed for a model with several, but in batch from a data set",
)
VOCODER_DIR = Flag(
    "vocoder_dir", "DIR", "the vocoder that turns the mel into sound", unset="Griffin-Lim, without a network"
)
PITCH = Flag(
    "pitch_control",
    "FACTOR",
    "scales the pitch: 1.2 is 20 % higher (Amphion's models: z-scores)",
    default="1.0",
)
ENERGY = Flag("energy_control", "FACTOR", "scales the amplitude: 1.2 is 20 % more (Amphion's: z-scores)", default="1.0")
DURATION = Flag("duration_control", "FACTOR", "scales the durations: 1.2 is 20 % slower", default="1.0")

VOCODER = EXPERIMENT._replace(meaning="the vocoder: an experiment, one checkpoint in it, or a published folder")
VOCODER_MODE = MODE._replace(
    meaning="folder: a folder of recordings or mels; batch: a data set", choices=("folder", "batch")
)
RECORDINGS = Flag(
    "infer_dir", "DIR", "wav, flac, ogg, mp3, or mels [T, n_mel] as npy or safetensors (folder)", must_exist=True
)
RECORDINGS_OF = DATASET._replace(meaning="the data set to take recordings from (batch)")


def check_workers(args: argparse.Namespace) -> None:
    """Checks the combination of flags.

    Raises:
        UserError: stage 1 would have no worker process.
    """
    if args.num_workers is not None and args.num_workers < 1:
        raise UserError(f"--num_workers: must be at least 1, got {args.num_workers}", 2)


def check_weights(args: argparse.Namespace) -> None:
    """Checks the combination of flags.

    Raises:
        UserError: fine-tuning has no weights to start from.
    """
    if args.resume_type == "finetune" and args.resume_from_ckpt_path is None:
        raise UserError("--resume_type finetune needs --resume_from_ckpt_path: the weights to start from", 2)


def check_start(args: argparse.Namespace) -> None:
    """Checks the combination of flags.

    Raises:
        UserError: the stage finetune has no weights to start from and no run to continue.
    """
    if args.resume_from_ckpt_path is None and not args.resume:
        raise UserError("stage finetune needs --resume_from_ckpt_path", 2)


def check_texts(args: argparse.Namespace) -> None:
    """Checks the combination of flags.

    Raises:
        UserError: no text is given, or flags contradict each other.
    """
    if args.infer_text is not None and args.infer_file is not None:
        raise UserError("--infer_text and --infer_file exclude each other", 2)
    if args.infer_text is not None:
        if args.infer_mode == "batch":
            raise UserError("--infer_text is for --infer_mode single", 2)
        if not args.infer_text.strip():
            raise UserError("--infer_text: the text is empty", 2)
    elif args.infer_file is None:
        if args.infer_mode == "single":
            raise UserError("--infer_mode single needs --infer_text or --infer_file", 2)
        _need(args, "infer_dataset", "infer_testing_set", "config", instead=", or --infer_file")


def check_recordings(args: argparse.Namespace) -> None:
    """Checks the combination of flags.

    Raises:
        UserError: no recordings are given.
    """
    _need(args, *(("infer_dir",) if args.infer_mode == "folder" else ("infer_dataset", "infer_testing_set", "config")))


def _need(args: argparse.Namespace, *names: str, instead: str = "") -> None:
    for name in names:
        if getattr(args, name) is None:
            raise UserError(f"--infer_mode {args.infer_mode} needs --{name}{instead}", 2)


PREPROCESS = Program("bins/preprocess.py", (CONFIG, SET, NUM_WORKERS), (CONFIG,), check_workers, gpus="none")
_TRAIN = (CONFIG, NAME, SET, NUM_WORKERS, RESUME, RESUME_FROM, RESUME_TYPE)
TRAIN_MODEL = Program("bins/train.py", _TRAIN, (CONFIG, NAME), check_weights, gpus="all")
TRAIN = TRAIN_MODEL._replace(flags=(*_TRAIN, ACOUSTIC_DIR))  # all flags of bins/train.py
FINETUNE = TRAIN._replace(check=check_start)
TEACHER_FORCED = Program(
    "bins/teacher_forced.py", (CONFIG, ACOUSTIC_DIR, ACOUSTIC_DATA_DIR, SET), (CONFIG, ACOUSTIC_DIR)
)
_SPEECH = (CONFIG, EXPERIMENT, OUTPUT_DIR, MODE, TEXT, TEXT_FILE, DATASET, TESTING_SET, SPEAKER, VOCODER_DIR)
INFERENCE = Program("bins/inference.py", (*_SPEECH, PITCH, ENERGY, DURATION, SET), (EXPERIMENT, MODE), check_texts)
VOCODE = Program(
    "bins/vocode.py",
    (CONFIG, VOCODER, OUTPUT_DIR, VOCODER_MODE, RECORDINGS, RECORDINGS_OF, TESTING_SET, SET),
    (VOCODER, VOCODER_MODE),
    check_recordings,
)
