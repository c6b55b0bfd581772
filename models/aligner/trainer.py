"""Training the aligner."""

import math
from pathlib import Path

import torch
from torch import Tensor

from config.schema import AlignerConfig, ExpConfig
from models.aligner.dataset import AlignerBatch, AlignerDataset
from models.aligner.flat_start import FlatStart
from models.aligner.loss import binarization_loss, forward_sum_loss
from models.aligner.model import Aligner
from models.aligner.path import best_durations
from models.aligner.tokens import PAUSE
from models.trainer import BatchSize, Trainer

_WARMUP = 50  # steps to the full learning rate
_FINAL_RATE = 0.02  # of the full learning rate, at the last step
_VALIDATED = 64  # utterances
_STARTED_FROM = 300  # utterances that the first guess is made from: more do not make it better
_GUESS_ENDS = 0.4  # share of the training after which the first guess counts no more


class AlignerTrainer(Trainer):
    """Learns the alignment of a corpus from nothing but the corpus (arXiv:2108.10447).

    The validation loss is that of utterances it also trains on: nothing else will ever be aligned.
    """

    unit = "mel frames"

    def __init__(
        self, config: ExpConfig, exp_dir: Path, dataset: AlignerDataset, resume_from: Path | None = None
    ) -> None:
        """Args:
        config: its model section is an AlignerConfig.
        exp_dir: a folder that exists.
        dataset: what to align.
        resume_from: a checkpoint folder to go on from.
        """
        self.train_set = dataset
        super().__init__(config, exp_dir, resume_from)

    def build(self) -> None:
        """Makes the loader, the model and Adam."""
        config = self.config
        assert isinstance(config.model, AlignerConfig)
        self.blank = config.model.blank
        self.sampler = self.make_sampler(self.train_set.lengths)
        self.train_loader = self.make_loader(self.train_set, self.sampler)
        model = Aligner(config.model, len(self.train_set.symbols), config.preprocess.n_mel)
        adam = config.train.adam
        optimizer = torch.optim.Adam(model.parameters(), adam.lr, adam.betas, adam.eps, adam.weight_decay, fused=True)
        self.model, prepared = self.accelerator.prepare(model, optimizer)
        self.optimizers = [prepared]
        self.guess: FlatStart | None = None

    def learning_rate(self, step: int) -> float:
        """A short warm-up, then half a cosine down to almost nothing at the last step."""
        decay = 0.5 + 0.5 * math.cos(math.pi * step / self.last_step)
        return self.config.train.adam.lr * min(1.0, step / _WARMUP) * (_FINAL_RATE + (1 - _FINAL_RATE) * decay)

    def guess_weight(self, share: float) -> float:
        """How much the first guess counts, after this share of the training."""
        return max(0.0, 1 - share / _GUESS_ENDS)

    def binarization_weight(self, share: float) -> float:
        """How much the own best path counts: nothing until it can be believed, then more and more up to 1.

        The paper's warm-up (arXiv:2108.10447, sec. 2.4), over shares of the training instead of epochs.
        """
        return min(1.0, max(0.0, (share - 0.4) / 0.2))

    def measure(self, batch: AlignerBatch) -> BatchSize:
        """Mel frames."""
        return BatchSize(int(batch.mel_lengths.sum()), batch.mel.shape[0] * batch.mel.shape[1])

    def utterance_ids(self, index: Tensor) -> list[str]:
        """The ids of a batch's utterances, given its `index` field [B]."""
        return [self.train_set.rows[i]["utt_id"] for i in index.tolist()]

    def counts(self, batch: AlignerBatch) -> dict[str, int]:
        """None: a step is one batch of one process."""
        return {}

    def losses(self, batch: AlignerBatch, counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """One batch's, with the weights that they have at this step."""
        share = (self.step + 1) / self.last_step
        return self._losses(self.model, batch, self.guess_weight(share), self.binarization_weight(share))

    def validate(self) -> dict[str, float]:
        """Losses over some utterances, spread over the corpus."""
        rows = range(0, len(self.train_set), max(1, len(self.train_set) // _VALIDATED))
        model = self.accelerator.unwrap_model(self.model)
        sums: dict[str, float] = {"forward_sum": 0.0, "binarization": 0.0}
        for start in range(0, len(rows), self.config.train.batch_size):
            chosen = rows[start : start + self.config.train.batch_size]
            batch = self.to_device(AlignerDataset.collate([self.train_set[i] for i in chosen]))
            losses = self._losses(model, batch, 0.0, 1.0)
            for name in sums:
                sums[name] += float(losses[name]) * len(chosen) / len(rows)
        return {**sums, "selection": sums["forward_sum"] + sums["binarization"]}

    def _losses(
        self, model: torch.nn.Module, batch: AlignerBatch, guess_weight: float, binarization_weight: float
    ) -> dict[str, Tensor]:
        log_probs = model(batch.phone_ids, batch.phone_lengths, batch.mel, batch.mel_lengths)
        losses = {"forward_sum": forward_sum_loss(log_probs, batch.phone_lengths, batch.mel_lengths, self.blank)}
        total = losses["forward_sum"]
        if guess_weight > 0:
            losses["guess"] = binarization_loss(log_probs, self._first_guess().durations(batch), batch.mel_lengths)
            total = total + guess_weight * losses["guess"]
        if binarization_weight > 0:
            durations = best_durations(log_probs, batch.phone_lengths, batch.mel_lengths, batch.optional)
            losses["binarization"] = binarization_loss(log_probs, durations, batch.mel_lengths)
            total = total + binarization_weight * losses["binarization"]
        return {"total": total, **losses}

    def _first_guess(self) -> FlatStart:
        """Made when it is first needed: a run that goes on late needs none."""
        if self.guess is None:
            symbols, device = self.train_set.symbols, self.accelerator.device
            guess = FlatStart(len(symbols), symbols.ids([PAUSE])[0], self.config.preprocess.n_mel, device)
            step = max(1, len(self.train_set) // _STARTED_FROM)
            batches = self.train_set.batches_by_length(
                self.config.train.batch_size, range(0, len(self.train_set), step)
            )
            guess.fit([self.to_device(AlignerDataset.collate([self.train_set[i] for i in rows])) for rows in batches])
            self.guess = guess
        return self.guess

    @property
    def trained(self) -> Aligner:
        """The model, outside of whatever the accelerator wrapped it in, ready to align."""
        return self.accelerator.unwrap_model(self.model).eval()


def num_steps(num_utterances: int) -> int:
    """How long to train on a corpus: 400 steps for 100 utterances, 600 for 300, 3,000 for LJSpeech's 13,100.

    Measured with tests/models/aligner/benchmark.py: at 300 utterances, twice as many change nothing.
    """
    return round((150 + 25 * math.sqrt(num_utterances)) / 50) * 50
