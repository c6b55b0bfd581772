"""Training of the aligner on a corpus, and its TextGrids; a killed run resumes from its last checkpoint."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from config.schema import AdamConfig, ExpConfig, PreprocessConfig, TrainConfig
from models.aligner.config import AlignerConfig
from models.aligner.dataset import AlignerBatch, AlignerDataset
from models.aligner.halves import SMALLEST_CORPUS, agreements
from models.aligner.model import Aligner
from models.aligner.path import best_durations
from models.aligner.scores import WORST, Score, misfits, utterance_score
from models.aligner.tokens import Tokens, tiers, with_cut_frames, with_pauses_between_words, without_short_pauses
from models.aligner.trainer import BLOCK, LONGEST, AlignerTrainer
from models.aligner.version import VERSION
from models.training.batching import collate
from utils.atomic import write_text
from utils.checkpoint import list_checkpoints
from utils.errors import UserError
from utils.plot import save_alignment
from utils.progress import Progress
from utils.textgrid import write_textgrid

_BATCH_SIZE = 8  # 16 takes half as long again to reach the same loss (measured on a CPU)
_ALIGNED_AT_ONCE = 16
# s; a pause without a mark in the text must last at least this long. A stop closure between words looks like a pause.
_SHORTEST_PAUSE = 0.08
_SILENCE = 5.0  # nats against a phone, per frame of a silence


class Aligned(NamedTuple):
    """The alignment of one utterance."""

    row: int  # of the dataset
    tokens: Tokens  # S; those of the dataset, and the pauses detected between words
    durations: np.ndarray  # int64 [S], frames of the mel without its silences
    score: Score


def aligner_config(preprocess: PreprocessConfig) -> ExpConfig:
    """Returns the configuration of the experiment that trains an aligner."""
    train = TrainConfig(
        batch_size=_BATCH_SIZE,
        mixed_precision="no",  # the model always computes in float32
        compile=False,  # the path search runs on the CPU
        max_epoch=None,
        max_steps=LONGEST,
        log_every=50,
        valid_every=BLOCK,
        save_every=100,
        keep_last=1,
        adam=AdamConfig(lr=4e-3),
    )
    return ExpConfig("Aligner", AlignerConfig(), preprocess=preprocess, train=train)


def train_aligner(config: ExpConfig, dataset: AlignerDataset, folder: Path, inputs: str) -> Aligner:
    """Trains an aligner, or resumes a killed run on the same inputs.

    Args:
        config: from `aligner_config`.
        dataset: the utterances to align.
        folder: folder for checkpoints.
        inputs: hash of the dataset; checkpoints with another hash are deleted.

    Raises:
        UserError: the loss became NaN.
        OSError: a checkpoint cannot be written.
    """
    mark = folder / "inputs.json"
    # Never resume from a checkpoint of other settings.
    text = json.dumps([VERSION, inputs, dataclasses.asdict(config)["train"]])
    if not mark.is_file() or mark.read_text(encoding="utf-8") != text:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_text(mark, text)
    checkpoints = list_checkpoints(folder / "checkpoint")
    trainer = AlignerTrainer(config, folder, dataset)
    trainer.setup(checkpoints[-1][1] if checkpoints else None)
    trainer.fit()
    return trainer.trained


@torch.inference_mode()
def align(model: Aligner, dataset: AlignerDataset, seconds_per_frame: float) -> Iterator[Aligned]:
    """Aligns every utterance of a dataset, in no fixed order.

    Args:
        model: a trained aligner.
        dataset: utterances with at least as many frames as tokens.
        seconds_per_frame: hop size / sample rate.

    Yields:
        The alignment of one utterance.
    """
    device = next(model.parameters()).device
    seen = sorted({symbol for tokens in dataset.tokens for symbol in tokens.symbols})
    column_of = {symbol: column for column, symbol in enumerate(seen)}
    seen_ids = torch.tensor(dataset.symbols.ids(seen), device=device)
    shortest = math.ceil(_SHORTEST_PAUSE / seconds_per_frame)

    def search(rows: list[int], tokens: list[Tokens]) -> tuple[AlignerBatch, list[np.ndarray]]:
        batch = collate([dataset.item(row, row_tokens) for row, row_tokens in zip(rows, tokens, strict=True)])
        batch = AlignerBatch(*(tensor.to(device) for tensor in batch))
        log_probs = model(batch.phone_ids, batch.phone_lengths, batch.mel, batch.mel_lengths)
        # Silent parts of the recording may hold only pauses.
        log_probs = log_probs - _SILENCE * (batch.silent.unsqueeze(2) & ~batch.optional.unsqueeze(1))
        durations = best_durations(log_probs, batch.phone_lengths, batch.mel_lengths, batch.optional).cpu().numpy()
        return batch, [row[: len(row_tokens.symbols)] for row, row_tokens in zip(durations, tokens, strict=True)]

    # Longest first: shorter batches reuse the memory that longer ones free. In the other order, 24 h take 1.2 GB more.
    for rows in reversed(dataset.batches_by_length(_ALIGNED_AT_ONCE)):
        written = [dataset.tokens[row] for row in rows]
        spaced = [with_pauses_between_words(tokens) for tokens in written]
        _, first = search(rows, spaced)
        final = [
            without_short_pauses(tokens, written_tokens, durations.tolist(), shortest)
            for tokens, written_tokens, durations in zip(spaced, written, first, strict=True)
        ]
        batch, durations = search(rows, final)
        log_probs = model.symbol_log_probs(seen_ids, batch.mel, batch.mel_lengths).cpu().numpy()
        for index, row in enumerate(rows):
            tokens, frames = final[index], durations[index]
            path = np.repeat([column_of[symbol] for symbol in tokens.symbols], frames)
            path_log_probs = log_probs[index, np.arange(len(path)), path]
            seconds = dataset.rows[row]["seconds"]
            score = utterance_score(path_log_probs, frames, np.array(tokens.optional), seconds, seconds_per_frame)
            yield Aligned(row, tokens, frames, score)


def write_alignment(dataset: AlignerDataset, aligned: Aligned, folder: Path, seconds_per_frame: float) -> Path:
    """Writes `<folder>/<utt_id>.TextGrid` with the tiers "words" and "phones".

    Returns:
        The path of the TextGrid.

    Raises:
        OSError: the file cannot be written.
    """
    row = dataset.rows[aligned.row]
    words = [text for text, _ in row["words"]]
    path = folder / f"{row['utt_id']}.TextGrid"
    durations = _whole_durations(row, aligned)
    write_textgrid(path, tiers(aligned.tokens, durations, words, row["seconds"], seconds_per_frame))
    return path


def _whole_durations(row: Mapping[str, Any], aligned: Aligned) -> list[int]:
    """Returns the durations with the frames of the silences that were cut out."""
    cuts = [(cut_at, cut) for _, _, cut_at, cut in row["silences"]]
    return with_cut_frames(aligned.tokens, aligned.durations.tolist(), cuts)


def draw_pictures(
    dataset: AlignerDataset, alignments: Sequence[Aligned], folder: Path, seconds_per_frame: float
) -> None:
    """Draws the phones over the mel, in `<folder>/<utt_id>.png`, for the utterances that fit worst and a typical one.

    Raises:
        OSError: a picture cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    order = sorted(alignments, key=lambda aligned: (aligned.score.fit, aligned.row))
    for aligned in {aligned.row: aligned for aligned in [*order[:WORST], order[len(order) // 2]]}.values():
        row, tokens = dataset.rows[aligned.row], aligned.tokens
        durations = np.array(_whole_durations(row, aligned))
        lasting = durations > 0
        ends = durations.cumsum()[lasting] * seconds_per_frame
        labels = [label for label, lasts in zip(tokens.labels, lasting, strict=True) if lasts]
        title = f"{row['utt_id']}: {' '.join(word for word, _ in row['words'])}"
        mel = dataset.item(aligned.row, tokens).mel.numpy()
        # Frames that were cut out are drawn as silence, so that times are those of the recording.
        missing = [cut_at for _, _, cut_at, cut in row["silences"] for _ in range(cut)]
        mel = np.insert(mel, missing, mel.min(), axis=0)
        save_alignment(folder / f"{row['utt_id']}.png", mel, labels, ends, title, seconds_per_frame)


class Learned(NamedTuple):
    """The result of `learn`."""

    scores: dict[str, Score]  # by utterance id
    crowded: list[tuple[str, str]]  # (utterance id, reason) of utterances with more phones than frames


def learn(
    preprocess: PreprocessConfig,
    inputs_dir: Path,
    records: Sequence[dict[str, Any]],
    inputs: str,
    work_dir: Path,
    textgrid_dir: Path,
    pictures_dir: Path,
) -> Learned:
    """Trains an aligner and writes the TextGrids of all utterances.

    Args:
        preprocess: the preprocess section.
        inputs_dir: folder of the shards of mels.
        records: records of `processors.stage1.aligner_inputs`, one per utterance.
        inputs: hash of everything that records and mels depend on.
        work_dir: folder for checkpoints.
        textgrid_dir: folder for the TextGrids.
        pictures_dir: folder for pictures of the worst alignments.

    Raises:
        UserError: nothing can be aligned, or the loss became NaN.
        OSError: a file cannot be written.
    """
    dataset = AlignerDataset(inputs_dir, records)
    if not len(dataset):
        raise UserError(
            f"no utterance can be aligned: {len(records)} of the recordings can be read, and {len(dataset.crowded)} "
            "have more phones than frames"
        )
    model = train_aligner(aligner_config(preprocess), dataset, work_dir, inputs)
    seconds_per_frame = preprocess.hop_size / preprocess.sample_rate
    textgrid_dir.mkdir(parents=True, exist_ok=True)
    alignments = []
    with Progress(len(dataset), "utterances", "TextGrids") as progress:
        for aligned in align(model, dataset, seconds_per_frame):
            write_alignment(dataset, aligned, textgrid_dir, seconds_per_frame)
            alignments.append(aligned)
            progress.advance()
    alignments.sort(key=lambda aligned: aligned.row)
    draw_pictures(dataset, alignments, pictures_dir, seconds_per_frame)
    deviations = misfits([aligned.score.fit for aligned in alignments])
    ids = [dataset.rows[aligned.row]["utt_id"] for aligned in alignments]
    agreement_shares: list[float | None] = [None] * len(alignments)
    if len(alignments) >= SMALLEST_CORPUS:
        tokens, durations = [aligned.tokens for aligned in alignments], [aligned.durations for aligned in alignments]
        agreement_shares = [*agreements(dataset, tokens, durations, seconds_per_frame, next(model.parameters()).device)]
    scores = {
        utt_id: aligned.score._replace(misfit=misfit, agreement=agreement)
        for utt_id, misfit, aligned, agreement in zip(ids, deviations, alignments, agreement_shares, strict=True)
    }
    return Learned(scores, dataset.crowded)
