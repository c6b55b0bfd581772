"""The training loop that every model shares."""

import time
import warnings
from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast, set_seed
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from config.schema import ExpConfig
from models.training.batching import LengthBucketSampler
from models.training.crops import CropSampler
from models.training.loading import resolve_precision
from models.training.messages import not_finite, out_of_memory, start_lines, step_line
from models.training.resident import ResidentLoader
from models.training.resume import POSITION, load_checkpoint
from models.training.steps import StepRunner
from models.training.window import BatchSize, Sums, Window
from utils.checkpoint import checkpoint_name, prune_checkpoints, save_weights
from utils.errors import UserError
from utils.jsonl import write_json
from utils.logging import logger


class Trainer:
    """Trains one model: batches, optimizer steps, log, validation, checkpoints, resume.

    A subclass builds its parts in `build` and implements `losses`, `counts`, `validate` and `learning_rate`. Training
    that was killed and resumed ends with the same weights, bit for bit: the order of the batches is a pure function of
    seed and epoch, the learning rate is one of the step, and a checkpoint holds the weights, the optimizers, every
    random generator and the position in the epoch. Progress counts optimizer steps.

    A step is the same however its utterances are divided into batches and processes: losses are means over all items of
    the step (`counts`), not means of the batches' means.

    Attributes that a subclass sets in `build`: `model` and `optimizers` (all through `accelerator.prepare`),
    `train_set`, `sampler`, `train_loader`. If speed is not measured in mel frames, it also overrides `unit` and
    `measure`.
    """

    model: torch.nn.Module
    optimizers: list[torch.optim.Optimizer]
    sampler: LengthBucketSampler | CropSampler  # both have the lengths of all utterances
    train_loader: DataLoader | ResidentLoader
    unit = "mel frames"  # of batch sizes and speed
    train_set: Any  # its rows have utt_id
    # Files of every checkpoint.
    checkpoint_files: tuple[str, ...] = ("model.safetensors", "optimizer.bin", POSITION, "random_states_0.pkl")

    def __init__(self, config: ExpConfig, exp_dir: Path) -> None:
        """Starts accelerate; `setup` does the rest.

        Args:
            config: configuration of the experiment.
            exp_dir: folder of the experiment.

        Raises:
            UserError: train.mixed_precision or train.compile is impossible on this machine.
        """
        self.config, self.exp_dir = config, exp_dir
        train = config.train
        # accelerate does not know the new name of this setting.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        self.accelerator = Accelerator(
            mixed_precision=resolve_precision(train.mixed_precision),
            # Buffers start equal on all processes (_share_buffers) and stay equal: no need to send them at each step.
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        set_seed(train.random_seed, device_specific=True)  # each process has different dropout
        self.step, self.epoch, self.step_in_epoch = 0, 0, 0
        self.best_loss = float("inf")
        self.run_step = StepRunner(train.compile, self.accelerator)
        self.window = Window(self.accelerator.device)
        self.writer: SummaryWriter | None = None

    def setup(self, resume_from: Path | None = None, start_from: Path | None = None) -> None:
        """Builds the model and loads its weights; `fit` can then start.

        Args:
            resume_from: a checkpoint folder to resume from.
            start_from: if there is no checkpoint, a folder from which only the weights are loaded.

        Raises:
            UserError: the features, the checkpoint or the weights cannot be used; exp_dir is left untouched.
        """
        self.build()
        self._share_buffers()
        self.run_step.prepare(self.train_step, self.optimizers)
        if resume_from is not None:
            self._load(resume_from)
        elif start_from is not None:
            self.start_from(start_from)
        if self.accelerator.is_main_process:
            self.writer = SummaryWriter(str(self.exp_dir / "log"), purge_step=self.step + 1 if resume_from else None)

    # Methods that a subclass implements or overrides.

    @staticmethod
    def tables(data_dirs: Sequence[Path]) -> dict[str, Any]:
        """Returns what synthesis needs of the data folders and the experiment keeps: JSON file name -> content."""
        return {}

    def build(self) -> None:
        """Builds the model, the optimizers and the loader."""
        raise NotImplementedError

    def counts(self, batch: Any) -> dict[str, int]:
        """Counts the items of a batch (still on the CPU) over which losses are averaged."""
        raise NotImplementedError

    def losses(self, batch: Any, counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Computes the losses of one batch.

        Args:
            batch: a batch on the device.
            counts: divisors of the sums: the counts of all batches of the step, per process, with the names of
                `counts`.

        Returns:
            Scalars on the device; "total" is minimized.
        """
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """Measures the model on the validation set and draws samples.

        Returns:
            Figures by name; the best checkpoint is the one with the lowest "selection".
        """
        raise NotImplementedError

    def measure(self, batch: Any) -> BatchSize:
        """Returns the size of a batch (still on the CPU), in `unit`."""
        return BatchSize(int(batch.mel_lengths.sum()), batch.mel.shape[0] * batch.mel.shape[1])

    def utterance_ids(self, rows: Tensor) -> list[str]:
        """Returns the ids of utterances, given their rows [B] in the training set."""
        return [self.train_set.rows[row]["utt_id"] for row in rows.tolist()]

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of an optimizer step, counted from 1."""
        raise NotImplementedError

    def few_shapes(self, batches: Sequence[Any]) -> Sequence[Any]:
        """Pads the batches of a step to one of few shapes, because each shape needs a separate CUDA graph."""
        return batches

    def step_kind(self) -> Hashable:
        """Returns whatever the next step's kernels depend on, other than the shapes of its batches."""
        return None

    def after_step(self) -> None:
        """Runs after the optimizers, outside CUDA graphs: for updates that depend on the number of the step."""

    def start_from(self, folder: Path) -> None:
        """Loads only the weights of a trained model (--resume_type finetune).

        Raises:
            UserError: this model does not support it, or the folder holds no such model.
        """
        raise UserError(
            f"--resume_type finetune: {self.config.model_type} cannot start from other weights", exit_code=2
        )

    def best_weights(self) -> dict[str, Tensor]:
        """Returns the weights for best/model.safetensors."""
        return self.accelerator.unwrap_model(self.model).state_dict()

    def save_more(self, folder: Path) -> None:
        """Adds files to a checkpoint; called on one process."""

    def load_more(self, folder: Path) -> None:
        """Reads the files of `save_more`; called on every process."""

    # The loop.

    def fit(self) -> None:
        """Trains until max_steps or max_epoch.

        Raises:
            UserError: the loss became NaN or infinite (the utterances of that batch are named), or the GPU's memory is
                too small.
        """
        train = self.config.train
        if self.step >= self.last_step:
            logger.info("Nothing to do: training has reached step %s of %s.", f"{self.step:,}", f"{self.last_step:,}")
            return
        for line in start_lines(self):
            logger.info(line)
        self.model.train()
        while self.step < self.last_step:
            for batches in self._rest_of_epoch():
                try:
                    self._run_step(batches)
                except torch.OutOfMemoryError as error:
                    raise out_of_memory(self, batches) from error
                self.step_in_epoch += 1
                self.step += 1
                last = self.step >= self.last_step
                if self.step % train.log_every == 0 or last:
                    self._log_training()
                if self.step % train.valid_every == 0 or last:
                    self._validate()
                if self.step % train.save_every == 0 or last:
                    self._save()
                if last:
                    break
            else:
                self.epoch, self.step_in_epoch = self.epoch + 1, 0
        if self.writer:
            self.writer.close()
        if (
            self.accelerator.num_processes > 1
        ):  # with one process it would end the process group of stage 1 (stage1/ranks.py)
            self.accelerator.end_training()

    def train_step(self, batches: Sequence[Any], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Runs the forward and backward pass of each batch of a step, then the optimizer.

        A model with more than one optimizer overrides this.

        Args:
            batches: batches on the device.
            counts: as in `losses`.

        Returns:
            Scalars on the device, detached: the losses, and "gradient_norm".
        """
        accelerator, figures = self.accelerator, Sums()
        for number, batch in enumerate(batches, 1):
            with self.exchanging_gradients(self.model, number == len(batches)):
                losses = self.losses(batch, counts)
                accelerator.backward(losses["total"])
            figures.add(losses)
        norm = accelerator.clip_grad_norm_(self.model.parameters(), self.config.train.grad_clip_thresh)
        self.optimizers[0].step()
        self.optimizers[0].zero_grad()
        return {**figures, "gradient_norm": norm}

    def exchanging_gradients(self, model: torch.nn.Module, last: bool) -> AbstractContextManager[Any]:
        """Returns a context for a batch's passes: processes exchange gradients only at the last batch of a step."""
        return nullcontext() if last else self.accelerator.no_sync(model)

    @property
    def last_step(self) -> int:
        """The last step of training."""
        train = self.config.train
        by_epochs = None if train.max_epoch is None else train.max_epoch * self.sampler.num_steps
        return min(end for end in (train.max_steps, by_epochs) if end is not None)

    def to_device(self, batch: Any) -> Any:
        """Copies a NamedTuple of tensors to the accelerator's device."""
        device = self.accelerator.device
        return type(batch)(*(tensor.to(device, non_blocking=True) for tensor in batch))

    def state_dict(self) -> dict[str, Any]:
        """Returns the position of training and the settings that determine the order of batches, for a checkpoint."""
        position = {name: getattr(self, name) for name in ("step", "epoch", "step_in_epoch", "best_loss")}
        return {**position, "order": self._order()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the position, or the start of the epoch if the batches are no longer the same."""
        for name in ("step", "epoch", "step_in_epoch", "best_loss"):
            setattr(self, name, state[name])
        order = self._order()
        saved = {name: state["order"].get(name) for name in order}
        changed = [f"{name} {saved[name]} -> {order[name]}" for name in order if saved[name] != order[name]]
        if changed:
            self.step_in_epoch = 0
            logger.warning(
                "The batches are no longer those of the checkpoint (%s): the epoch starts again.", ", ".join(changed)
            )

    def _share_buffers(self) -> None:
        """Copies the first process's buffers to all others: some have random initial values (spectral norm)."""
        for model in self.accelerator._models:
            for buffer in model.buffers():
                broadcast(buffer)

    def _load(self, checkpoint: Path) -> None:
        try:
            self.load_state_dict(load_checkpoint(self.accelerator, checkpoint))
            self.load_more(checkpoint)
        except Exception as error:  # torch, safetensors and accelerate raise different errors for a damaged file
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{checkpoint} cannot be loaded ({reason}). Delete this folder: --resume then continues from the one "
                "before it."
            ) from error

    @property
    def max_batch_frames(self) -> int | None:
        """Maximum frames of a batch; None: batches are limited by their number of utterances."""
        return self.sampler.max_batch_frames if isinstance(self.sampler, LengthBucketSampler) else None

    def _order(self) -> dict[str, int | None]:
        train = self.config.train
        return {
            "batch_size": train.batch_size,
            "max_batch_frames": self.max_batch_frames,
            "gradient_accumulation_step": train.gradient_accumulation_step,
            "random_seed": train.random_seed,
            "processes": self.accelerator.num_processes,
            "utterances": len(self.sampler.lengths),
        }

    def _rest_of_epoch(self) -> Iterator[tuple[Any, ...]]:
        """Yields the batches of each remaining step of the epoch."""
        self.sampler.set_position(self.epoch, self.step_in_epoch)
        batches = iter(self.train_loader)
        return zip(*[batches] * self.sampler.accumulation, strict=True)

    def _run_step(self, batches: Sequence[Any]) -> None:
        if self.run_step.graphs is not None:
            batches = self.few_shapes(batches)
        size = BatchSize(*map(sum, zip(*map(self.measure, batches), strict=True)))
        counts = self._total_counts(batches)
        on_device = [self.to_device(batch) for batch in batches]
        losses = self.run_step(on_device, counts, self.learning_rate(self.step + 1), self.step_kind())
        self.after_step()
        self.window.add(torch.cat([batch.rows for batch in batches]), size, losses)
        # On one CPU process the check costs nothing; otherwise it waits for the next line of the log.
        if self.accelerator.device.type == "cpu" and self.accelerator.num_processes == 1:
            self._check_finite()

    def _total_counts(self, batches: Sequence[Any]) -> dict[str, Tensor]:
        """Sums the counts of a step over batches and averages them over processes, as for gradients."""
        counts = [self.counts(batch) for batch in batches]
        totals = torch.tensor([sum(count[name] for count in counts) for name in counts[0]], dtype=torch.float32)
        totals = self.accelerator.reduce(totals.to(self.accelerator.device, non_blocking=True), "mean")
        return dict(zip(counts[0], totals.unbind(), strict=True))

    def _check_finite(self) -> None:
        """Raises UserError if a loss or gradient was NaN or infinite since the last check, on any process."""
        if not int(self.accelerator.reduce((self.window.first_bad >= 0).int(), "sum")):
            return
        bad_step = int(self.window.first_bad)
        raise not_finite(self, self.utterance_ids(self.window.indices[bad_step]) if bad_step >= 0 else None)

    def _log_training(self) -> None:
        self._check_finite()
        losses = {name: float(self.accelerator.reduce(v, "mean")) for name, v in self.window.averages().items()}
        speed = self.window.speed(self.accelerator.num_processes)
        logger.info(step_line(self, losses, speed))
        losses |= {"learning_rate": self.learning_rate(self.step), "padding": speed.padding}
        losses |= {f"{self.unit.replace(' ', '_')}_per_second": speed.rate, "ms_per_step": speed.ms_per_step}
        self._write("train", losses)
        self.window = Window(self.accelerator.device)

    def _validate(self) -> None:
        self._check_finite()
        start = time.perf_counter()
        self.model.eval()
        with torch.inference_mode():
            figures = self.validate()
        self.model.train()
        selection = figures.pop("selection")
        self._write("valid", figures)
        better = selection < self.best_loss
        if better:
            self.best_loss = selection
            if self.accelerator.is_main_process:
                info = {"step": self.step, "loss": selection}
                save_weights(self.exp_dir / "best/model.safetensors", self.best_weights(), info)
        text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        logger.info("validation at step %s: %s%s", f"{self.step:,}", text, "  (best so far)" if better else "")
        self.window.started += time.perf_counter() - start  # the speed in the log excludes validation

    def _save(self) -> None:
        """Writes a checkpoint under a temporary name, then renames it: a kill leaves no damaged checkpoint."""
        self._check_finite()
        start = time.perf_counter()
        folder = self.exp_dir / "checkpoint"
        temporary, final = folder / f".saving-{self.step}", folder / checkpoint_name(self.step)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(temporary))
        self.accelerator.wait_for_everyone()  # save_state does not wait for the other processes
        if self.accelerator.is_main_process:
            self.save_more(temporary)
            write_json(temporary / POSITION, self.state_dict())
            temporary.rename(final)
            prune_checkpoints(folder, self.config.train.keep_last)
            logger.info("saved %s", final)
        self.accelerator.wait_for_everyone()
        self.window.started += time.perf_counter() - start

    def _write(self, group: str, figures: dict[str, float]) -> None:
        if self.writer:
            for name, value in figures.items():
                self.writer.add_scalar(f"{group}/{name}", value, self.step)
