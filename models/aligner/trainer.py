"""Training of the aligner."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from config.schema import ExpConfig
from models.aligner.config import AlignerConfig
from models.aligner.dataset import AlignerBatch, AlignerDataset, AlignerSubset
from models.aligner.flat_start import FlatStart
from models.aligner.loss import binarization_loss, forward_sum_loss
from models.aligner.model import Aligner
from models.aligner.path import best_durations
from models.aligner.tokens import PAUSE
from models.training.batching import collate
from models.training.loading import make_adam, make_loader, make_sampler
from models.training.trainer import Trainer
from utils.logging import logger

# Training has three parts. In the first, of fixed length, the losses change: the first guess fades out, binarization
# fades in. In the second the losses stay the same, and training continues block by block until the validation loss has
# flattened. In the third the learning rate falls to almost 0, which lowers the loss more than all blocks do.
# In steps, the same for 6 utterances and for 13,100:
_WARMUP = 50  # until the full learning rate
_GUESS_ENDS = 150
_BINARIZATION_ENDS = 250  # binarization has its full weight from here on
_FIRST_LOOK = 300  # first check of whether the validation loss has flattened
BLOCK = 50  # steps from one check to the next
_FLAT = 0.01  # flat: less than this share below the best loss so far
_FALL = 0.4  # steps of the third part, as a share of all those before
LONGEST = 3000  # upper limit of all steps
_FINAL_RATE = 0.02  # of the full learning rate, at the last step

_STARTED_FROM = 300  # utterances that the first guess is estimated from; more do not improve it
_VALIDATED = 64  # most utterances to validate on
_HELD_OUT = 10  # one in this many utterances is used for validation and not for training ...
_SMALL = 100  # ... if the corpus has at least this many


class AlignerTrainer(Trainer):
    """Trains an aligner on nothing but the corpus (arXiv:2108.10447) until the validation loss has flattened.

    The validation loss is computed on one utterance in ten, 64 at most, which are not trained on; in the end they are
    aligned like all others. A corpus of fewer than 100 utterances cannot spare any: its validation loss is computed on
    training utterances.
    """

    def __init__(self, config: ExpConfig, exp_dir: Path, dataset: AlignerDataset) -> None:
        """Starts accelerate and keeps the dataset.

        Args:
            config: configuration with an AlignerConfig as its model section.
            exp_dir: an existing folder.
            dataset: the utterances to align.
        """
        super().__init__(config, exp_dir)
        self.train_set = dataset

    def build(self) -> None:
        """Builds the loader, the model and Adam."""
        config = self.config
        assert isinstance(config.model, AlignerConfig)
        self.blank = config.model.blank
        self.steady_until = _FIRST_LOOK  # the learning rate falls after this step; `_look` may move it
        self.validated = validation_rows(len(self.train_set))
        held_out = set(self.validated) if len(self.train_set) >= _SMALL else set()
        trained_on = AlignerSubset(self.train_set, [i for i in range(len(self.train_set)) if i not in held_out])
        self.sampler = make_sampler(trained_on.lengths, config.train, self.accelerator)
        self.train_loader = make_loader(trained_on, self.sampler, config.train, self.accelerator.device)
        model = Aligner(config.model, len(self.train_set.symbols), config.preprocess.n_mel)
        self.model, prepared = self.accelerator.prepare(model, make_adam(torch.optim.Adam, model, config.train.adam))
        self.optimizers = [prepared]
        self.guess: FlatStart | None = None

    @property
    def last_step(self) -> int:
        """The last step, if the validation loss has flattened at the next check."""
        return min(super().last_step, _last_step(self.steady_until))

    def learning_rate(self, step: int) -> float:
        """Returns the rate of a step: short warm-up, full rate, then linear decay to almost 0 at the last step."""
        fallen = max(0.0, (step - self.steady_until) / (_last_step(self.steady_until) - self.steady_until))
        return self.config.train.adam.lr * min(1.0, step / _WARMUP) * (1 - (1 - _FINAL_RATE) * fallen)

    def guess_weight(self, step: int) -> float:
        """Returns the weight of the first guess, which falls to 0."""
        return max(0.0, 1 - step / _GUESS_ENDS)

    def binarization_weight(self, step: int) -> float:
        """Returns the weight of the model's best path: 0 until the path is reliable, then rising to 1.

        The paper's warm-up (arXiv:2108.10447, sec. 2.4), over steps instead of epochs.
        """
        return min(1.0, max(0.0, (step - _GUESS_ENDS) / (_BINARIZATION_ENDS - _GUESS_ENDS)))

    def state_dict(self) -> dict[str, Any]:
        """Adds the step after which the learning rate falls."""
        return {**super().state_dict(), "steady_until": self.steady_until}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state of `state_dict`."""
        super().load_state_dict(state)
        self.steady_until = state["steady_until"]

    def counts(self, batch: AlignerBatch) -> dict[str, int]:
        """Returns no counts: a step is one batch of one process."""
        return {}

    def losses(self, batch: AlignerBatch, counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Computes the losses of a batch, with the weights of this step."""
        step = self.step + 1
        return self._losses(self.model, batch, self.guess_weight(step), self.binarization_weight(step))

    def validate(self) -> dict[str, float]:
        """Computes the validation losses; at a check, also decides whether the learning rate starts to fall."""
        model = self.accelerator.unwrap_model(self.model)
        sums: dict[str, float] = {"forward_sum": 0.0, "binarization": 0.0}
        for rows in self.train_set.batches_by_length(self.config.train.batch_size, self.validated):
            batch = self.to_device(collate([self.train_set[i] for i in rows]))
            losses = self._losses(model, batch, 0.0, 1.0)
            for name in sums:
                sums[name] += float(losses[name]) * len(rows) / len(self.validated)
        total = sums["forward_sum"] + sums["binarization"]
        if self.step == self.steady_until:
            self._look(total)
        return {**sums, "selection": total}

    def _look(self, loss: float) -> None:
        """Adds a block if the loss is well below `best_loss`, the lowest of all earlier validations."""
        next_check = self.steady_until + BLOCK
        if loss < (1 - _FLAT) * self.best_loss and _last_step(next_check) <= super().last_step:
            self.steady_until = next_check
        else:
            logger.info(
                "the validation loss has flattened: %s more steps, with a falling learning rate",
                self.last_step - self.step,
            )

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
        """Returns the first guess, fitted on first use: a run that resumes late needs none."""
        if self.guess is None:
            symbols, device = self.train_set.symbols, self.accelerator.device
            guess = FlatStart(len(symbols), symbols.ids([PAUSE])[0], self.config.preprocess.n_mel, device)
            step = max(1, len(self.train_set) // _STARTED_FROM)
            batches = self.train_set.batches_by_length(
                self.config.train.batch_size, range(0, len(self.train_set), step)
            )
            guess.fit([self.to_device(collate([self.train_set[i] for i in rows])) for rows in batches])
            self.guess = guess
        return self.guess

    @property
    def trained(self) -> Aligner:
        """The model without the accelerator's wrapper, in evaluation mode."""
        return self.accelerator.unwrap_model(self.model).eval()


def validation_rows(num_utterances: int) -> list[int]:
    """Returns the rows to validate on, spread evenly over the corpus."""
    share = num_utterances // _HELD_OUT if num_utterances >= _SMALL else num_utterances
    count = min(_VALIDATED, share)
    return [index * num_utterances // count for index in range(count)]


def _last_step(steady_until: int) -> int:
    return steady_until + round(_FALL * steady_until)
