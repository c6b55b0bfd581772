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
from models.training.steps import StepRunner
from models.training.window import BatchSize, Sums, Window
from utils.checkpoint import checkpoint_name, prune_checkpoints, save_weights
from utils.errors import UserError
from utils.logging import logger


class Trainer:
    """Trains one model: batches, optimizer steps, log, validation, checkpoints, resume.

    A subclass builds its parts in `build` and owns `losses`, `counts`, `validate` and `learning_rate`.
    Progress counts optimizer steps. Training that was killed and resumed ends with the same weights, bit for bit: the
    order of the batches is a pure function of seed and epoch, the learning rate one of the step, and a checkpoint holds
    the weights, the optimizers, every random generator and the position in the epoch.

    A step is the same however its utterances are divided into batches and processes: losses are means over all that
    the step sees (`counts`), not means of the batches' means.

    Attributes that a subclass sets in `build`: `model` and `optimizers` (all through `accelerator.prepare`),
    `train_set`, `sampler`, `train_loader`. If progress is not counted in mel frames, it also owns `unit` and `measure`.
    """

    model: torch.nn.Module
    optimizers: list[torch.optim.Optimizer]
    sampler: LengthBucketSampler | CropSampler  # both know the lengths of all utterances
    train_loader: DataLoader | ResidentLoader
    unit = "mel frames"  # of progress
    train_set: Any  # its rows have utt_id
    data_files: tuple[str, ...] = ()  # files of the features' folder that the experiment keeps a copy of
    # Files that every checkpoint has.
    checkpoint_files: tuple[str, ...] = (
        "model.safetensors",
        "optimizer.bin",
        "custom_checkpoint_0.pkl",
        "random_states_0.pkl",
    )

    def __init__(self, config: ExpConfig, exp_dir: Path) -> None:
        """Starts accelerate; `setup` does the rest.

        Args:
            config: the whole experiment.
            exp_dir: its folder.

        Raises:
            UserError: train.mixed_precision or train.compile is impossible here.
        """
        self.config, self.exp_dir = config, exp_dir
        train = config.train
        # The new name of this setting is unknown to accelerate.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        self.accelerator = Accelerator(
            mixed_precision=resolve_precision(train.mixed_precision),
            # Buffers start the same everywhere (below) and stay so: no need to send them at each step.
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        set_seed(train.random_seed, device_specific=True)  # each process has dropout of its own
        self.step, self.epoch, self.step_in_epoch = 0, 0, 0
        self.best_loss = float("inf")
        self.accelerator.register_for_checkpointing(self)
        self.run_step = StepRunner(train.compile, self.accelerator)
        self.window = Window(self.accelerator.device)
        self.writer: SummaryWriter | None = None

    def setup(self, resume_from: Path | None = None, start_from: Path | None = None) -> None:
        """Builds the model and loads its weights; `fit` can then start.

        Args:
            resume_from: a checkpoint folder to resume from.
            start_from: without one, a folder whose weights alone are loaded.

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

    # What a subclass writes.

    def build(self) -> None:
        """Makes the model, the optimizers and the loader."""
        raise NotImplementedError

    def counts(self, batch: Any) -> dict[str, int]:
        """Counts the items of a batch (still on the CPU) that losses are means of."""
        raise NotImplementedError

    def losses(self, batch: Any, counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """One batch's losses, scalars on the device; "total" is what is minimized.

        Args:
            batch: on the device.
            counts: what to divide sums by: the counts of all batches of the step, a process. Their names are those of
                `counts`.
        """
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """Measures the model on the validation set and draws samples.

        Returns:
            Figures by name; "selection" is the one that the best checkpoint has lowest.
        """
        raise NotImplementedError

    def measure(self, batch: Any) -> BatchSize:
        """The size of a batch (still on the CPU) in `unit`s."""
        return BatchSize(int(batch.mel_lengths.sum()), batch.mel.shape[0] * batch.mel.shape[1])

    def utterance_ids(self, rows: Tensor) -> list[str]:
        """The ids of utterances, given their rows [B] in the training set."""
        return [self.train_set.rows[row]["utt_id"] for row in rows.tolist()]

    def learning_rate(self, step: int) -> float:
        """The learning rate of an optimizer step, counted from 1."""
        raise NotImplementedError

    def few_shapes(self, batches: Sequence[Any]) -> Sequence[Any]:
        """The batches of a step, padded further so that few shapes occur: each is a CUDA graph of its own."""
        return batches

    def step_kind(self) -> Hashable:
        """Whatever else the next step's kernels depend on, beside the shapes of its batches."""
        return None

    def after_step(self) -> None:
        """Does what a step leads to beside the optimizers' work, and depends on the step's number."""

    def start_from(self, folder: Path) -> None:
        """Takes over the weights of a trained model, and nothing else of it (--resume_type finetune).

        Raises:
            UserError: this model cannot, or the folder holds no such model.
        """
        raise UserError(
            f"--resume_type finetune: {self.config.model_type} cannot start from other weights", exit_code=2
        )

    def best_weights(self) -> dict[str, Tensor]:
        """The weights for best/model.safetensors."""
        return self.accelerator.unwrap_model(self.model).state_dict()

    def save_more(self, folder: Path) -> None:
        """Adds files to a checkpoint, on one process."""

    def load_more(self, folder: Path) -> None:
        """Reads what `save_more` wrote, on every process."""

    # The loop.

    def fit(self) -> None:
        """Trains until max_steps or max_epoch.

        Raises:
            UserError: the loss became NaN or infinite (the utterances of that batch are named), or the GPU's memory is
                too small.
        """
        train = self.config.train
        if self.step >= self.last_step:
            logger.info("Nothing to do: step %s of %s is reached.", f"{self.step:,}", f"{self.last_step:,}")
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
        if self.accelerator.num_processes > 1:  # else it would end the process group of stage 1 (stage1/ranks.py)
            self.accelerator.end_training()

    def train_step(self, batches: Sequence[Any], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Runs the batches of one step forward and backward, and the optimizer once.

        A model with more than one optimizer writes its own.

        Args:
            batches: on the device.
            counts: as `losses` takes them.

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
        """Around a batch's forward and backward: processes exchange gradients once a step, with its last batch."""
        return nullcontext() if last else self.accelerator.no_sync(model)

    @property
    def last_step(self) -> int:
        """The step that training ends at."""
        train = self.config.train
        ends = []
        if train.max_steps is not None:
            ends.append(train.max_steps)
        if train.max_epoch is not None:
            ends.append(train.max_epoch * self.sampler.num_steps)
        return min(ends)

    def to_device(self, batch: Any) -> Any:
        """The same NamedTuple of tensors on the accelerator's device."""
        device = self.accelerator.device
        return type(batch)(*(tensor.to(device, non_blocking=True) for tensor in batch))

    def state_dict(self) -> dict[str, Any]:
        """The position of the training, and the settings that decide the order of batches; part of a checkpoint."""
        position = {name: getattr(self, name) for name in ("step", "epoch", "step_in_epoch", "best_loss")}
        return {**position, "order": self._order()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the position, or the start of its epoch if the batches are no longer the same."""
        for name in ("step", "epoch", "step_in_epoch", "best_loss"):
            setattr(self, name, state[name])
        now = self._order()
        then = {name: state["order"].get(name) for name in now}
        changed = [f"{name} {then[name]} -> {now[name]}" for name in now if then[name] != now[name]]
        if changed:
            self.step_in_epoch = 0
            logger.warning(
                "The batches are no longer those of the checkpoint (%s): the epoch starts again.", ", ".join(changed)
            )

    def _share_buffers(self) -> None:
        """Gives every process the first one's buffers, some of which start at random (a spectral norm's)."""
        for model in self.accelerator._models:
            for buffer in model.buffers():
                broadcast(buffer)

    def _load(self, checkpoint: Path) -> None:
        try:
            self.accelerator.load_state(str(checkpoint))
            self.load_more(checkpoint)
        except Exception as error:  # torch, safetensors and accelerate each have errors of their own for a damaged file
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{checkpoint} cannot be loaded ({reason}). Delete this folder: --resume then continues from the one "
                "before it."
            ) from error

    @property
    def max_batch_frames(self) -> int | None:
        """The most frames of a batch; None: batches are limited by their number of utterances."""
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
        """The batches of each step that is left."""
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
        # A look at the loss costs nothing here. A GPU, or other processes, are asked at the log.
        if self.accelerator.device.type == "cpu" and self.accelerator.num_processes == 1:
            self._check_finite()

    def _total_counts(self, batches: Sequence[Any]) -> dict[str, Tensor]:
        """The counts of a step's batches, summed over batches and averaged over processes, as gradients are."""
        counts = [self.counts(batch) for batch in batches]
        totals = torch.tensor([sum(own[name] for own in counts) for name in counts[0]], dtype=torch.float32)
        totals = self.accelerator.reduce(totals.to(self.accelerator.device, non_blocking=True), "mean")
        return dict(zip(counts[0], totals.unbind(), strict=True))

    def _check_finite(self) -> None:
        """Stops where a loss or a gradient was NaN or infinite since the last look, on any process."""
        if not int(self.accelerator.reduce((self.window.first_bad >= 0).int(), "sum")):
            return
        own = int(self.window.first_bad)
        raise not_finite(self, self.utterance_ids(self.window.indices[own]) if own >= 0 else None)

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
        began = time.perf_counter()
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
        self.window.started += time.perf_counter() - began  # the log's speed is that of training alone

    def _save(self) -> None:
        """Writes a checkpoint under a temporary name and renames it: a kill while saving costs nothing."""
        self._check_finite()
        began = time.perf_counter()
        folder = self.exp_dir / "checkpoint"
        temporary, final = folder / f".saving-{self.step}", folder / checkpoint_name(self.step)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(temporary))
        self.accelerator.wait_for_everyone()  # save_state is no barrier
        if self.accelerator.is_main_process:
            self.save_more(temporary)
            temporary.rename(final)
            prune_checkpoints(folder, self.config.train.keep_last)
            logger.info("saved %s", final)
        self.accelerator.wait_for_everyone()
        self.window.started += time.perf_counter() - began

    def _write(self, group: str, figures: dict[str, float]) -> None:
        if self.writer:
            for name, value in figures.items():
                self.writer.add_scalar(f"{group}/{name}", value, self.step)
