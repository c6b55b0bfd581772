"""Base class for training vocoders: clips, validation, and the average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.training.crops import CropSampler
from models.training.loading import check_not_empty, make_loader
from models.training.samples import RECORDED, Samples
from models.training.trainer import Trainer
from models.training.window import BatchSize
from models.vocoder.average import WeightAverage
from models.vocoder.hifigan.dataset import HiFiGANDataset
from modules.mel import MelSpectrogram
from modules.periodicity import periodicity_errors
from modules.stft_distance import MultiResolutionSTFTDistance
from modules.weight_norm import fused_state_dict
from utils.checkpoint import load_strict, read_weights, save_weights
from utils.logging import logger

AVERAGE = "ema.safetensors"  # in a checkpoint: the averaged generator, fused


class VocoderBatch(Protocol):
    """Fields that the batches of all vocoders have; shapes as in HiFiGANBatch."""

    @property
    def rows(self) -> Tensor: ...

    @property
    def audio(self) -> Tensor: ...

    @property
    def mel(self) -> Tensor: ...


class VocoderTrainer(Trainer):
    """Trains a generator on crops of clips.

    A subclass implements `resynthesize` and the methods that every subclass of Trainer implements; its `build` calls
    `build_data` first and `build_average` last. Its train section has segment_size, num_valid_clips and ema_decay.
    """

    unit = "audio seconds"
    checkpoint_files: tuple[str, ...] = (*Trainer.checkpoint_files, "model_1.safetensors", "optimizer_1.bin")
    dataset_class: type[HiFiGANDataset] = HiFiGANDataset
    train_config: Any

    def resynthesize(self, generator: nn.Module, mel: Tensor) -> Tensor:
        """Synthesizes mel [1, T, n_mel] -> audio [1, N], float32."""
        raise NotImplementedError

    def build_data(self) -> None:
        """Builds the data sets, the sampler, the loader, and the measures of validation."""
        config, train, accelerator = self.config, self.config.train, self.accelerator
        self.train_config = train
        mel = config.preprocess.mel
        self.train_set, self.valid_set = (
            self.dataset_class(config.data_dirs, split, mel, self.train_config.segment_size)
            for split in ("train", "valid")
        )
        check_not_empty(self.train_set, self.valid_set)
        self.sampler = CropSampler(
            self.train_set.lengths,
            train.batch_size,
            train.random_seed,
            accelerator.num_processes,
            accelerator.process_index,
            train.gradient_accumulation_step,
        )
        self.train_loader = make_loader(self.train_set, self.sampler, train, accelerator.device)

        def spectrogram(fmax: float) -> MelSpectrogram:
            settings = {**asdict(mel), "fmax": fmax}
            return MelSpectrogram(**settings).to(accelerator.device)

        self.input_mel = spectrogram(mel.fmax)
        self.loss_mel = spectrogram(mel.sample_rate / 2)  # full band, as in HiFi-GAN's code
        self.stft_distance = MultiResolutionSTFTDistance().to(accelerator.device)
        self.samples = Samples(config.preprocess)

    def build_average(self, generator: nn.Module, average: nn.Module) -> None:
        """Starts the average of the weights, if train.ema_decay is set.

        Args:
            generator: the one that is trained.
            average: another one of the same shape, without weight norm.
        """
        self.average = None
        if self.train_config.ema_decay is not None:
            average.to(self.accelerator.device).load_state_dict(fused_state_dict(generator))
            self.average = WeightAverage(average, self.train_config.ema_decay)

    def measure(self, batch: VocoderBatch) -> BatchSize:
        """Returns the seconds of audio that the generator synthesizes."""
        seconds = len(batch.rows) * self.train_config.segment_size / self.config.preprocess.sample_rate
        return BatchSize(seconds, seconds)

    def counts(self, batch: VocoderBatch) -> dict[str, int]:
        """Counts the segments, which all have the same length."""
        return {"segments": len(batch.rows)}

    def after_step(self) -> None:
        """Updates the average with the weights of this step."""
        if self.average is not None:
            self.average.update(self.accelerator.unwrap_model(self.model), self.step + 1)

    def mel_distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """Computes the L1 distance of the full-band log-mels of audio [B, N]."""
        return F.l1_loss(self.loss_mel(fake), self.loss_mel(real))

    def input_mel_of(self, batch: VocoderBatch) -> Tensor:
        """Returns the generator's input, [B, F, n_mel]: the acoustic model's mel, or else that of the clip."""
        return batch.mel.float() if batch.mel.shape[1] else self.input_mel(batch.audio, padded=False)

    def target(self, batch: VocoderBatch) -> Tensor:
        """Returns the recorded segments, [B, 1, N], that the generator is to synthesize."""
        margin = (batch.audio.shape[1] - self.train_config.segment_size) // 2
        return batch.audio[:, None, margin : batch.audio.shape[1] - margin]

    def validate(self) -> dict[str, float]:
        """Measures distances between whole clips, the same ones each time, and their resynthesis.

        Returns:
            "mel": L1 distance of full-band log-mels; "selection" is the same, and selects the best checkpoint.
            "mel_without_average": the same with the weights that are trained instead of their average.
            "stft": multi-resolution STFT distance.
            "periodicity": root mean square difference of periodicity.
            "voicing": share of frames whose voicing differs.
        """
        torch.backends.cudnn.benchmark = False  # clips differ in length
        accelerator = self.accelerator
        generator = accelerator.unwrap_model(self.model)
        names = ["mel", "stft", "periodicity", "voicing"] + ["mel_without_average"] * (self.average is not None)
        sums = torch.zeros(len(names), device=accelerator.device)
        num_clips = min(self.train_config.num_valid_clips, len(self.valid_set))
        for i in range(accelerator.process_index, num_clips, accelerator.num_processes):
            real, mel = self._clip(i)
            fake = self.resynthesize(self._speaker, mel)
            distances = [self.mel_distance(real, fake), self.stft_distance(*_long_enough(fake, real))]
            distances += periodicity_errors(real, fake, **self._pitch_range())
            if self.average is not None:
                distances.append(self.mel_distance(real, self.resynthesize(generator, mel)))
            sums += torch.stack(distances)
        figures = dict(zip(names, (accelerator.reduce(sums, "sum") / num_clips).tolist(), strict=True))
        self._draw_samples()
        return {**figures, "selection": figures["mel"]}

    @property
    def _speaker(self) -> nn.Module:
        """The generator that is validated and exported."""
        return self.average.module if self.average is not None else self.accelerator.unwrap_model(self.model)

    def _clip(self, row: int) -> tuple[Tensor, Tensor]:
        """Returns a whole validation clip, [1, N], and the generator's input for it, [1, T, n_mel]."""
        device = self.accelerator.device
        wav, mel = (tensor.to(device)[None] for tensor in self.valid_set.clip(row))
        return wav, (mel if mel.shape[1] else self.input_mel(wav))

    def _pitch_range(self) -> dict[str, Any]:
        audio = self.config.preprocess
        return {
            "sample_rate": audio.sample_rate,
            "hop_size": audio.hop_size,
            "f0_min": audio.f0_min,
            "f0_max": audio.f0_max,
        }

    def _draw_samples(self) -> None:
        """Writes mels and audio of the first validation clips: synthesized and recorded."""
        if self.writer is None:
            return
        for i in range(min(self.config.train.num_valid_samples, len(self.valid_set))):
            utt_id = self.valid_set.rows[i]["utt_id"]
            real, mel = self._clip(i)
            wavs = {"synthesized": self.resynthesize(self._speaker, mel), RECORDED: real}
            mels = {name: self.input_mel(wav)[0] for name, wav in wavs.items()}

            def sound(name: str, wavs: dict[str, Tensor] = wavs) -> Tensor:
                return wavs[name][0]

            self.samples.write(self.writer, self.step, utt_id, utt_id, mels, sound)

    def best_weights(self) -> dict[str, Tensor]:
        """Returns the generator's weights, fused; the averaged ones if there is an average."""
        return self._speaker.state_dict() if self.average is not None else fused_state_dict(self._speaker)

    def save_more(self, folder: Path) -> None:
        """Writes the averaged generator."""
        if self.average is not None:
            save_weights(folder / AVERAGE, self.average.module.state_dict(), {"step": self.step})

    def load_more(self, folder: Path) -> None:
        """Reads the averaged generator; without one, the average starts from the checkpoint's weights."""
        if self.average is None:
            return
        path = folder / AVERAGE
        if path.is_file():
            load_strict(self.average.module, read_weights(path), path)
        else:
            logger.warning(
                "%s has no %s: the average of the weights starts from the checkpoint's weights.", folder, AVERAGE
            )
            self.average.module.load_state_dict(fused_state_dict(self.accelerator.unwrap_model(self.model)))


@contextmanager
def trying_algorithms() -> Iterator[None]:
    """Context in which cuDNN tries all algorithms for each new shape and keeps the fastest.

    This pays off for training steps, which all have the same shapes, and not for whole clips, which all differ.
    """
    torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = False


def _long_enough(*wavs: Tensor) -> list[Tensor]:
    """Pads clips [1, N] with silence to at least the longest window of the STFT distance."""
    return [F.pad(wav, (0, max(0, 2048 - wav.shape[1]))) for wav in wavs]
