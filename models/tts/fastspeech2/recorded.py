"""FastSpeech 2 for inference: a single utterance takes a GPU two launches instead of hundreds."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.graphs import RecordedFunction
from models.tts.fastspeech2.model import FastSpeech2, FastSpeech2Output
from modules.masks import padding_mask
from modules.variance_adaptor import VarianceAdaptorOutput

# Phones and frames are padded to multiples of these, so that few shapes must be recorded.
PHONE_MULTIPLE = 16
FRAME_MULTIPLE = 64


class RecordedFastSpeech2(nn.Module):
    """Speaks like the model. On a GPU, encoder and decoder become CUDA graphs for utterances that come alone.

    The host waits for the durations between the two, because they determine the number of frames.
    """

    def __init__(self, model: FastSpeech2) -> None:
        """Wraps a model; the weights must not be replaced later."""
        super().__init__()
        self.model, self.num_speakers = model, model.num_speakers
        self._encode, self._decode = RecordedFunction(self._encoder), RecordedFunction(self._decoder)

    def forward(
        self,
        phone_ids: Tensor,
        phone_lengths: Tensor,
        *,
        speaker_id: Tensor | None,
        **controls: float,
    ) -> FastSpeech2Output:
        """Predicts the mels of a batch; for the arguments see `FastSpeech2.forward`."""
        if phone_ids.is_cuda and len(phone_ids) == 1 and self.model.mask_padding:
            return self.alone(phone_ids, speaker_id, **controls)
        return self.model(phone_ids, phone_lengths, speaker_id=speaker_id, **controls)

    def alone(
        self,
        phone_ids: Tensor,
        speaker_id: Tensor | None,
        pitch_control: float,
        energy_control: float,
        duration_control: float,
    ) -> FastSpeech2Output:
        """Predicts the mel of one utterance, computed with padding.

        Args:
            phone_ids: [1, S] int64, without padding.
            speaker_id: [1] int64, if the model has more than one speaker.
            pitch_control, energy_control, duration_control: factors on the predictions.
        """
        num_phones, longest = phone_ids.size(1), self.model.positions.table.size(0)
        device = phone_ids.device
        lengths = torch.tensor([num_phones], device=device)
        speaker = {} if speaker_id is None else {"speaker_id": speaker_id}
        encoded = self._encode(
            phone_ids=F.pad(phone_ids, (0, _padding(num_phones, PHONE_MULTIPLE, longest))),
            phone_lengths=lengths,
            controls=torch.tensor([pitch_control, energy_control, duration_control], device=device),
            **speaker,
        )
        num_frames = int(encoded["durations"].sum())
        frames = torch.arange(num_frames + _padding(num_frames, FRAME_MULTIPLE, longest), device=device)
        output = self._decode(phone_lengths=lengths, frames=frames, **encoded)
        for name, values in output.items():
            if values.dim() > 1:
                output[name] = values[:, : num_frames if name.startswith("mel") else num_phones]
        return FastSpeech2Output(**output)

    def _encoder(
        self, phone_ids: Tensor, phone_lengths: Tensor, controls: Tensor, speaker_id: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Computes everything up to the durations; the controls are a tensor, so that one recording serves them all."""
        phone_padding_mask = padding_mask(phone_lengths, phone_ids.size(1))
        x = self.model.encode(phone_ids, phone_padding_mask, speaker_id)
        pitch, energy, duration = controls
        adapted = self.model.variance_adaptor(
            x,
            phone_padding_mask,
            pitch_scaling=self.model.scaling("pitch", pitch, speaker_id),
            energy_scaling=self.model.scaling("energy", energy, speaker_id),
            duration_control=duration,
        )
        return adapted._asdict()

    def _decoder(self, phone_lengths: Tensor, frames: Tensor, **adapted: Tensor) -> dict[str, Tensor]:
        """Computes the mel. Only the length of `frames` [T] is used: recordings are chosen by the shapes of tensors."""
        phone_padding_mask = padding_mask(phone_lengths, adapted["x"].size(1))
        return self.model.decode(VarianceAdaptorOutput(**adapted), phone_padding_mask, len(frames))._asdict()


def _padding(length: int, multiple: int, longest: int) -> int:
    """Returns the padding up to the next multiple, or up to the limit."""
    return max(0, min(-(-length // multiple) * multiple, longest) - length)
