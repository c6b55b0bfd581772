import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from bins.vocode import main
from config.schema import MelSettings
from models.vocoder.hifigan.config import GeneratorConfig
from models.vocoder.hifigan.generator import HiFiGANGenerator
from modules.mel import MelSpectrogram
from utils.audio_io import to_pcm16, write_wav
from utils.jsonl import write_jsonl
from utils.shards import write_shard

SHAPE = GeneratorConfig("2", (16, 16), (32, 32), 8, (3,), ((1,),))
MEL = MelSettings(22050, 1024, 1024, 256, 80, 0.0, 8000.0)
DISTANCE = re.compile(r"resynthesis: ([\d.]+), mean of (\d+) \(full band\); worst (\S+), ([\d.]+)")


@pytest.fixture
def generator() -> HiFiGANGenerator:
    return HiFiGANGenerator(80, **asdict(SHAPE)).eval().requires_grad_(False)


@pytest.fixture
def experiment(tmp_path, generator) -> Path:
    folder = tmp_path / "ckpts/voice"
    (folder / "checkpoint/step-0000010").mkdir(parents=True)
    args = {"model_type": "HiFiGAN", "model": asdict(SHAPE), "preprocess": asdict(MEL)}
    (folder / "args.json").write_text(json.dumps(args))
    save_file(generator.state_dict(), folder / "checkpoint/step-0000010/model.safetensors")
    return folder


@pytest.fixture
def tone(harmonic_tone) -> np.ndarray:
    return harmonic_tone(np.linspace(120, 200, 256 * 40 + 100)).astype(np.float32)


@pytest.fixture
def recordings(tmp_path, tone) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    write_wav(folder / "a.wav", tone, 22050)
    write_wav(folder / "b.wav", tone[: 256 * 11], 22050)
    return folder


def run(capsys, folder: Path, *flags: object) -> str:
    main(["--infer_expt_dir", str(folder), *map(str, flags)])
    captured = capsys.readouterr()
    return captured.out + captured.err


def fails(capsys, folder: Path, *flags: object, code: int = 2) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["--infer_expt_dir", str(folder), *map(str, flags)])
    assert stop.value.code == code
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def expected(generator: HiFiGANGenerator, wav: np.ndarray) -> tuple[torch.Tensor, float]:
    """What the vocoder makes of a recording, and the full-band mel's distance."""
    recorded = torch.from_numpy(wav)[None]
    made = generator(MelSpectrogram(**asdict(MEL))(recorded).transpose(1, 2))[:, 0]
    full = MelSpectrogram(**{**asdict(MEL), "fmax": 11025.0})
    return made[0], float((full(made) - full(recorded[:, : made.shape[1]])).abs().mean())


def test_a_folder_of_recordings(capsys, experiment, generator, recordings, tone):
    output = run(capsys, experiment, "--infer_mode", "folder", "--infer_dir", recordings)
    assert sorted(p.name for p in (experiment / "result").iterdir()) == ["a.wav", "b.wav"]
    wav, rate = soundfile.read(experiment / "result/a.wav", dtype="float32")
    recorded = soundfile.read(recordings / "a.wav", dtype="float32")[0]
    made, distance = expected(generator, recorded)
    assert rate == 22050 and len(wav) == 40 * 256
    assert np.abs(wav - made.numpy()).max() < 1e-4
    mean, count, worst, most = DISTANCE.search(output).groups()
    other = expected(generator, recorded[: 256 * 11])[1]
    assert (count, worst) == ("2", "a" if distance > other else "b")
    assert float(mean) == pytest.approx((distance + other) / 2, abs=0.01)
    assert float(most) == pytest.approx(max(distance, other), abs=0.01)
    assert f"{len(tone) // 256 * 256 / 22050 + 11 * 256 / 22050:.2f} s of audio" in output


def test_nothing_is_overwritten(capsys, experiment, recordings):
    for _ in range(2):
        output = run(capsys, experiment, "--infer_mode", "folder", "--infer_dir", recordings)
    assert sorted(p.name for p in (experiment / "result").iterdir()) == ["a-2.wav", "a.wav", "b-2.wav", "b.wav"]
    assert "a-2 and 1 more got a number" in output


def test_another_rate_and_two_channels(capsys, experiment, tmp_path, tone):
    folder = tmp_path / "other"
    folder.mkdir()
    soundfile.write(folder / "c.flac", np.stack([tone, tone], 1), 44100)
    given = experiment / "checkpoint/step-0000010"
    run(capsys, given, "--infer_mode", "folder", "--infer_dir", folder, "--infer_output_dir", tmp_path / "out")
    assert soundfile.info(tmp_path / "out/c.wav").frames == len(tone) // 2 // 256 * 256


def test_mels_in_every_form_sound_the_same(capsys, experiment, generator, tmp_path, tone):
    folder = tmp_path / "mels"
    folder.mkdir()
    mel = MelSpectrogram(**asdict(MEL))(torch.from_numpy(tone)[None])[0]
    np.save(folder / "house.npy", mel.numpy())
    np.save(folder / "transposed.npy", mel.T.numpy().astype(np.float64))
    np.save(folder / "batched.npy", mel.T[None].numpy())
    save_file({"anything": mel}, folder / "one.safetensors")
    save_file({"mel": mel.T.contiguous(), "other": mel[:3].clone()}, folder / "named.safetensors")
    output = run(capsys, experiment, "--infer_mode", "folder", "--infer_dir", folder)
    wavs = {p.stem: soundfile.read(p)[0] for p in (experiment / "result").iterdir()}
    assert sorted(wavs) == ["batched", "house", "named", "one", "transposed"]
    assert all(np.array_equal(wav, wavs["house"]) for wav in wavs.values())
    assert np.abs(wavs["house"] - generator(mel.T[None])[0, 0].numpy()).max() < 1e-4
    assert output.count("transposed\n") == 3 and "named.safetensors: holds [n_mel, T] = [80, 40]" in output
    assert "mel L1" not in output  # there is no recording


@pytest.mark.parametrize("with_mels", [False, True])
def test_a_split_of_a_corpus(capsys, experiment, generator, tmp_path, tone, with_mels):
    folder = tmp_path / "data/Tones"
    (folder / "shards").mkdir(parents=True)
    pcm = to_pcm16(tone[: 40 * 256])
    arrays = {"u1.wav": pcm, "u2.wav": pcm[: 20 * 256]}
    if with_mels:
        arrays |= {"u1.mel": np.zeros((40, 80), np.float16), "u2.mel": np.zeros((20, 80), np.float16)}
    write_shard(folder / "shards/shard-00000.safetensors", arrays, {})
    rows = [
        {"utt_id": u, "speaker": "one", "num_samples": n, "shard": "shard-00000"}
        for u, n in (("u1", 40 * 256), ("u2", 20 * 256))
    ]
    write_jsonl(folder / "test.jsonl", rows)
    config = tmp_path / "exp_config.json"
    config.write_text(json.dumps({"model_type": "HiFiGAN", "preprocess": {"processed_dir": str(tmp_path / "data")}}))
    flags = ("--infer_mode", "batch", "--infer_dataset", "Tones", "--infer_testing_set", "test", "--config", config)
    output = run(capsys, experiment, *flags)
    names = ["u1-recorded.wav", "u1.wav", "u2-recorded.wav", "u2.wav"]
    assert sorted(p.name for p in (experiment / "result").iterdir()) == names
    assert np.array_equal(soundfile.read(experiment / "result/u1-recorded.wav", dtype="int16")[0], pcm)
    wav = soundfile.read(experiment / "result/u1.wav", dtype="float32")[0]
    made = generator(torch.zeros(1, 80, 40))[0, 0] if with_mels else expected(generator, pcm / np.float32(32768))[0]
    assert np.abs(wav - made.numpy()).max() < 1e-4
    assert DISTANCE.search(output).group(2) == "2"

    assert "fmin: 50" in fails(capsys, experiment, *flags, "--set", "preprocess.fmin=50.0")
    assert "valid.jsonl: cannot be read" in fails(capsys, experiment, *flags, "--infer_testing_set", "valid", code=1)
    assert "needs --config" in fails(capsys, experiment, *flags[:-2])
    assert "preprocess.fmim" in fails(capsys, experiment, *flags, "--set", "preprocess.fmim=50.0")


def test_what_cannot_be_used_is_skipped_with_its_reason(capsys, experiment, recordings, tmp_path):
    (recordings / "broken.wav").write_bytes(b"RIFF")
    write_wav(recordings / "short.wav", np.zeros(100), 22050)
    np.save(recordings / "narrow.npy", np.zeros((10, 7), np.float32))
    np.save(recordings / "nan.npy", np.full((10, 80), np.nan, np.float32))
    np.save(recordings / "words.npy", np.array(["a"]))
    np.save(recordings / "objects.npy", np.array([{}]))
    save_file({"a": torch.zeros(1), "b": torch.zeros(1)}, recordings / "two.safetensors")
    output = run(capsys, experiment, "--infer_mode", "folder", "--infer_dir", recordings)
    for words in (
        "broken.wav: audio is truncated",
        "short.wav: too short: 100 samples, one window has 1024",
        r"narrow.npy: expected a mel \[T, 80\], found \[10, 7\]",
        "nan.npy: has values that are not finite",
        "words.npy: holds <U1, not numbers",
        "objects.npy: cannot be read",
        "two.safetensors: holds 2 tensors, none of them named mel",
        "7 of 9 clips could not be used",
        "wrote 2 wav files",
    ):
        assert re.search(words, output), words

    for path in (*recordings.glob("[ab].wav"), *recordings.glob("*.npy")):
        path.unlink()
    assert "none of the 3 clips could be used" in fails(
        capsys, experiment, "--infer_mode", "folder", "--infer_dir", recordings
    )
    (recordings / "broken.wav").unlink()
    (recordings / "two.safetensors").unlink()
    message = fails(capsys, experiment, "--infer_mode", "folder", "--infer_dir", recordings, code=1)
    assert message.count("\n") == 1 and "short.wav: too short" in message


def test_flags_that_cannot_be(capsys, experiment, tmp_path):
    assert "folder needs --infer_dir" in fails(capsys, experiment, "--infer_mode", "folder")
    empty = tmp_path / "empty"
    assert "no such folder" in fails(capsys, experiment, "--infer_mode", "folder", "--infer_dir", empty)
    empty.mkdir()
    assert "holds no file of the kinds .wav" in fails(
        capsys, experiment, "--infer_mode", "folder", "--infer_dir", empty
    )
    assert "--infer_mode" in fails(capsys, experiment, "--infer_mode", "single")


def test_a_vocoder_that_does_not_state_its_mel(capsys, experiment, recordings, tmp_path):
    args = json.loads((experiment / "args.json").read_text())
    del args["preprocess"]["n_fft"]
    (experiment / "args.json").write_text(json.dumps(args))
    message = fails(capsys, experiment, "--infer_mode", "folder", "--infer_dir", recordings)
    assert "does not state n_fft" in message
    np.save(tmp_path / "m.npy", np.zeros((4, 80), np.float32))
    run(capsys, experiment, "--infer_mode", "folder", "--infer_dir", tmp_path)
    assert soundfile.info(experiment / "result/m.wav").frames == 4 * 256
