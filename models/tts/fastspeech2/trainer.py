"""Trainer of FastSpeech 2."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.training.batching import collate
from models.training.loading import check_not_empty, make_adam, make_loader, make_sampler
from models.training.samples import RECORDED, Samples
from models.training.trainer import Trainer
from models.tts.fastspeech2.config import FastSpeech2Config, FastSpeech2TrainConfig
from models.tts.fastspeech2.dataset import FastSpeech2Batch, FastSpeech2Dataset
from models.tts.fastspeech2.finetune import start_from
from models.tts.fastspeech2.loss import LossWeights, fastspeech2_loss
from models.tts.fastspeech2.model import FastSpeech2
from models.tts.fastspeech2.tables import read_tables
from models.tts.fastspeech2.teacher_forced import forced
from modules.griffin_lim import GriffinLim
from modules.masked_batch_norm import MaskedBatchNorm1d
from modules.transformer import ResidualNorm
from utils.errors import UserError
from utils.plot import plot_curves


class FastSpeech2Trainer(Trainer):
    """Trains with the recording's durations, pitch and energy (teacher forcing, arXiv:2006.04558, sec. 2.2)."""

    tables = staticmethod(read_tables)

    def build(self) -> None:
        """Builds the data sets and loaders, the model, Adam and the Griffin-Lim of the samples."""
        config, accelerator = self.config, self.accelerator
        assert isinstance(config.model, FastSpeech2Config) and isinstance(config.train, FastSpeech2TrainConfig)
        train = config.train
        self.loss_weights = LossWeights(
            train.mel_loss_weight, train.duration_loss_weight, train.pitch_loss_weight, train.energy_loss_weight
        )
        self.train_set, self.valid_set = (FastSpeech2Dataset(config.data_dirs, split) for split in ("train", "valid"))
        self._check_lengths(config.model.max_seq_len)
        self.sampler = make_sampler(
            self.train_set.lengths, train, accelerator, train.max_batch_frames, self.train_set.speaker_ids
        )
        self.train_loader = make_loader(self.train_set, self.sampler, config.train, accelerator.device)
        model = FastSpeech2(
            config.model,
            len(self.train_set.symbols),
            config.preprocess.n_mel,
            len(self.train_set.speakers),
            self.train_set.stats,
        )
        # With several processes, PostNet's norms communicate in the middle of their forward pass: not fused.
        kinds = (ResidualNorm, MaskedBatchNorm1d) if accelerator.num_processes == 1 else (ResidualNorm,)
        self.run_step.fuse([module for module in model.modules() if isinstance(module, kinds)], dynamic=True)
        self.model, prepared = accelerator.prepare(model, make_adam(torch.optim.Adam, model, config.train.adam))
        self.optimizers = [prepared]
        mel = config.preprocess.mel
        self.griffin_lim = GriffinLim(
            mel.sample_rate, mel.n_fft, mel.win_size, mel.hop_size, mel.n_mel, mel.fmin, mel.fmax
        ).to(accelerator.device)
        self.samples = Samples(config.preprocess)

    def learning_rate(self, step: int) -> float:
        """Returns the rate of the Noam schedule (arXiv:1706.03762, sec. 5.3)."""
        train = self.config.train
        assert isinstance(train, FastSpeech2TrainConfig)
        return train.adam.lr * min(step**-0.5, step * train.lr_scheduler.num_warmup**-1.5)

    def few_shapes(self, batches: Sequence[FastSpeech2Batch]) -> Sequence[FastSpeech2Batch]:
        """Pads all batches of a step to the same phones and frames, rounded up to multiples of 32 and 16.

        Simulated with LJSpeech's lengths at 5.5 frames per phone, +/- 9 %: batches of 16 then have about 90 shapes and
        3.8 % of padding instead of 2.5 %, batches of 128 about 70 and 4.6 % instead of 3.3 %. Padded phones cost
        little: there are five times as many frames.
        """
        if not self.config.model.mask_padding:  # the padding would change the output
            return batches
        limit = self.config.model.max_seq_len
        num_phones = min(limit, _round_up(max(batch.phone_ids.shape[1] for batch in batches), 32))
        num_frames = min(limit, _round_up(max(batch.mel.shape[1] for batch in batches), 16))
        return [batch.widened(num_phones, num_frames) for batch in batches]

    def counts(self, batch: FastSpeech2Batch) -> dict[str, int]:
        """Counts the mel frames and the phones of a batch."""
        return {"frames": int(batch.mel_lengths.sum()), "phones": int(batch.phone_lengths.sum())}

    def losses(self, batch: FastSpeech2Batch, counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Computes the losses of one batch; see `fastspeech2_loss`."""
        return fastspeech2_loss(forced(self.model, batch), batch, counts, self.loss_weights)

    def validate(self) -> dict[str, float]:
        """Averages the losses over the frames of the validation split; logs plots and audio of its first utterances.

        The mel loss selects the best checkpoint: the losses of pitch and duration are lowest long before the speech is
        best, because they measure how a likely prosody differs from the recorded one.
        """
        accelerator = self.accelerator
        model = accelerator.unwrap_model(self.model)  # a DDP forward would wait for processes that have no batch left
        batch_size = self.config.train.batch_size
        order = sorted(range(len(self.valid_set)), key=self.valid_set.lengths.__getitem__)
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        sums: dict[str, Tensor] = {}
        frames = torch.zeros((), device=accelerator.device)
        for rows in batches[accelerator.process_index :: accelerator.num_processes]:
            batch = self.to_device(collate([self.valid_set[i] for i in rows]))
            weight = batch.mel_lengths.sum()
            for name, loss in fastspeech2_loss(forced(model, batch), batch, None, self.loss_weights).items():
                sums[name] = sums.get(name, torch.zeros_like(frames)) + loss * weight
            frames = frames + weight
        names = ("total", "mel", "mel_postnet", "duration", "pitch", "energy")  # also for a process without a batch
        zero = torch.zeros_like(frames)
        totals = accelerator.reduce(torch.stack([*(sums.get(name, zero) for name in names), frames]), "sum").tolist()
        figures = {name: value / totals[-1] for name, value in zip(names, totals, strict=False)}
        self._draw_samples(model)
        return {**figures, "selection": figures["mel_postnet"]}

    def start_from(self, folder: Path) -> None:
        """Loads the weights of another FastSpeech 2, of this toolkit or published; see `finetune.start_from`."""
        model, data = self.accelerator.unwrap_model(self.model), self.train_set
        start_from(model, folder, data.symbols.symbols, data.speakers, self.config.preprocess.mel)

    def _draw_samples(self, model: FastSpeech2) -> None:
        """Logs predicted and recorded mel, pitch, energy, durations and audio of the first validation utterances."""
        if self.writer is None:
            return
        for i in range(min(self.config.train.num_valid_samples, len(self.valid_set))):
            row = self.valid_set.rows[i]
            batch = self.to_device(collate([self.valid_set[i]]))
            output = forced(model, batch)
            mels = {"predicted": output.mel_postnet, RECORDED: batch.mel}
            utt_id, title = row["utt_id"], f"{row['utt_id']}: {row['text']}"

            def sound(name: str, mels: dict[str, Tensor] = mels, lengths: Tensor = batch.mel_lengths) -> Tensor:
                wav = self.griffin_lim(mels[name].float(), lengths)[0]
                return wav / wav.abs().max().clamp(min=1)

            rows = {name: mel[0] for name, mel in mels.items()}
            self.samples.write(self.writer, self.step, utt_id, title, rows, sound)
            pitches = {"predicted": output.pitch, "recorded": batch.pitch}
            curves = {
                "pitch (Hz)": {name: model.pitch_in_hz(z, batch.speaker_id) for name, z in pitches.items()},
                "energy (z-score)": {"predicted": output.energy, "recorded": batch.energy},
                "duration (frames)": {"predicted": output.log_durations.expm1(), "recorded": batch.durations},
            }
            arrays = {k: {n: v[0].float().cpu().numpy() for n, v in lines.items()} for k, lines in curves.items()}
            self.writer.add_figure(f"prosody/{utt_id}", plot_curves(arrays, row["phones"], title), self.step)

    def _check_lengths(self, limit: int) -> None:
        """Raises UserError if an utterance exceeds the model's limit of frames, or a split is empty."""
        check_not_empty(self.train_set, self.valid_set)
        for dataset in (self.train_set, self.valid_set):
            longest = max(range(len(dataset)), key=dataset.lengths.__getitem__)
            if dataset.lengths[longest] > limit:
                raise UserError(
                    f"{dataset.rows[longest]['utt_id']} has {dataset.lengths[longest]} mel frames, more than "
                    f"model.max_seq_len = {limit}: raise it, or lower preprocess.max_seconds and run stage 1 again",
                    exit_code=2,
                )


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
