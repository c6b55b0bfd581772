import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from bins.inference import main
from config.load import build_config, to_dict
from config.schema import MelSettings
from models.tts.fastspeech2.model import FastSpeech2, FeatureStats
from models.vocoder.hifigan.config import GeneratorConfig
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.sourcefilter.config import SourceFilterGeneratorConfig
from models.vocoder.sourcefilter.generator import SourceFilterGenerator
from modules.griffin_lim import GriffinLim
from text.symbols import SYMBOLS
from utils.audio_io import write_wav
from utils.output_names import OutputNames

STATS = {"mean": 100.0, "std": 20.0, "min": -2.0, "max": 2.0}
LAST_LINE = re.compile(r"([\d.]+) s of audio in ([\d.]+) s: real-time factor ([\d.]+)")


@pytest.fixture(autouse=True)
def few_iterations(monkeypatch):
    """Griffin-Lim's sound does not matter here."""
    original = GriffinLim.__init__
    monkeypatch.setattr(GriffinLim, "__init__", lambda self, *args, **kw: original(self, *args, **kw, iterations=1))


def make_experiment(root: Path, speakers=("ann",)) -> Path:
    """A FastSpeech2 with random weights that speaks each symbol in four frames, and its data set's lists."""
    small = {
        "transformer": {"encoder_layer": 1, "decoder_layer": 1, "encoder_hidden": 8, "decoder_hidden": 8},
        "variance_predictor": {"filter_size": 8},
        "postnet": {"hidden": 8, "layers": 2},
    }
    small["transformer"]["conv_filter_size"] = 8
    config = build_config({"model_type": "FastSpeech2", "model": small})
    torch.manual_seed(0)
    stats = FeatureStats(*STATS.values(), *STATS.values())
    model = FastSpeech2(config.model, len(SYMBOLS), 80, len(speakers), stats)
    if model.speaker_embedding is not None:
        torch.nn.init.normal_(model.speaker_embedding.weight)
    linear = model.variance_adaptor.duration_predictor.linear
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.constant_(linear.bias, math.log(4 + 1))
    torch.nn.init.constant_(model.mel_linear.bias, -4.0)  # not too loud
    for step, scale in ((10, 0.0), (20, 1.0)):
        folder = root / "checkpoint" / f"step-{step:07d}"
        folder.mkdir(parents=True)
        save_file(
            {k: v * scale if "mel_linear" in k else v for k, v in model.state_dict().items()},
            folder / "model.safetensors",
        )
    (root / "args.json").write_text(json.dumps(to_dict(config)))
    (root / "symbols.json").write_text(json.dumps(SYMBOLS))
    (root / "stats.json").write_text(json.dumps({"pitch": STATS, "energy": STATS}))
    (root / "speakers.json").write_text(json.dumps({name: i for i, name in enumerate(speakers)}))
    return root


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    return make_experiment(tmp_path_factory.mktemp("ckpts") / "voice")


@pytest.fixture(scope="module")
def duet(tmp_path_factory) -> Path:
    return make_experiment(tmp_path_factory.mktemp("ckpts") / "duet", ("ann", "bob"))


@pytest.fixture
def vocoder(tmp_path) -> Path:
    shape = GeneratorConfig("2", (16, 16), (32, 32), 4, (3,), ((1,),))
    folder = tmp_path / "vocoder"
    folder.mkdir()
    config = dataclasses.asdict(shape) | {"num_mels": 80, "sampling_rate": 22050, "hop_size": 256}
    config |= {"n_fft": 1024, "win_size": 1024, "fmin": 0, "fmax": 8000}
    (folder / "config.json").write_text(json.dumps(config))
    torch.save({"generator": HiFiGANGenerator(80, **dataclasses.asdict(shape)).state_dict()}, folder / "g_00000001")
    return folder


@pytest.fixture
def config(tmp_path) -> Path:
    rows = [("u1", "ann", "First one."), ("u2", "bob", "And the second."), ("u3", "ann", "***")]
    folder = tmp_path / "data/Tiny"
    folder.mkdir(parents=True)
    lines = [json.dumps({"utt_id": u, "speaker": s, "text": t, "phones": []}) for u, s, t in rows]
    (folder / "test.jsonl").write_text("\n".join(lines) + "\n")
    path = tmp_path / "exp_config.json"
    path.write_text(json.dumps({"model_type": "FastSpeech2", "preprocess": {"processed_dir": str(tmp_path / "data")}}))
    return path


def run(capsys, folder: Path, *flags: object) -> str:
    """Runs stage 3; returns what it printed."""
    main(["--infer_expt_dir", str(folder), *map(str, flags)])
    captured = capsys.readouterr()
    return captured.out


def fails(capsys, folder: Path, *flags: object, code: int = 2) -> str:
    """Runs stage 3, which must end with the exit code; returns its message, which must be short."""
    with pytest.raises(SystemExit) as stop:
        main(["--infer_expt_dir", str(folder), *map(str, flags)])
    assert stop.value.code == code
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def single(text: str = "Hello there.") -> tuple[str, ...]:
    return "--infer_mode", "single", "--infer_text", text


def test_single_writes_wav_and_picture_named_by_the_text(capsys, experiment, vocoder, tmp_path):
    output = run(capsys, experiment, *single(), "--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["hello_there.png", "hello_there.wav"]
    info = soundfile.info(tmp_path / "out/hello_there.wav")
    tokens = 4 + 3 + 1  # HH AH0 L OW1, DH EH1 R, the full stop
    assert (info.samplerate, info.subtype, info.frames) == (22050, "PCM_16", tokens * 4 * 256)
    assert "Warning" not in output
    seconds, _, _ = LAST_LINE.search(output.splitlines()[-1]).groups()
    assert float(seconds) == pytest.approx(info.frames / 22050, abs=0.01)


def test_a_vocoder_of_another_kind_speaks_as_well(capsys, experiment, tmp_path):
    folder, shape = tmp_path / "light", SourceFilterGeneratorConfig(8, 8, 1, 3, 8, 3)
    mel = MelSettings(22050, 1024, 1024, 256, 80, 0.0, 8000.0)
    folder.mkdir()
    args = {"model_type": "SourceFilter", "model": dataclasses.asdict(shape), "preprocess": dataclasses.asdict(mel)}
    (folder / "args.json").write_text(json.dumps(args))
    generator = SourceFilterGenerator(mel, **dataclasses.asdict(shape))
    save_file(generator.state_dict(), folder / "ema.safetensors")
    flags = ("--infer_output_dir", tmp_path / "out", "--vocoder_dir", folder)
    run(capsys, experiment, *single(), *flags)
    assert soundfile.info(tmp_path / "out/hello_there.wav").frames == (4 + 3 + 1) * 4 * 256
    args["preprocess"]["fmax"] = 7600.0
    (folder / "args.json").write_text(json.dumps(args))
    message = fails(capsys, experiment, *single(), *flags)
    assert "fmax: 8000 (acoustic model), 7600 (vocoder)" in message


def test_the_default_folder_and_nothing_overwritten(capsys, experiment):
    run(capsys, experiment, *single("Once."))
    first = (experiment / "result/once.wav").read_bytes()
    output = run(capsys, experiment / "checkpoint/step-0000020", *single("Once."))
    assert (experiment / "result/once.wav").read_bytes() == first
    assert (experiment / "result/once-2.wav").read_bytes() == first  # deterministic, newest checkpoint by default
    assert "once-2" in output
    run(capsys, experiment / "checkpoint/step-0000010", *single("Once."))
    assert (experiment / "result/once-3.wav").read_bytes() != first
    assert not list((experiment / "result").glob("*.tmp"))


def test_programs_that_speak_at_the_same_time_overwrite_nothing(capsys, experiment, tmp_path, monkeypatch):
    # Each run chooses its names before another one has written its files.
    monkeypatch.setattr(OutputNames, "_is_taken", lambda self, name: False)
    outputs = [run(capsys, experiment, *single("Once."), "--infer_output_dir", tmp_path) for _ in range(3)]
    names = ("once", "once-2", "once-3")
    assert {path.name for path in tmp_path.iterdir()} == {f"{n}{suffix}" for n in names for suffix in (".wav", ".png")}
    for name, output in zip(names, outputs, strict=True):
        assert f"{name}.wav" in output and f"{name}.png" in output


def test_griffin_lim_is_said_once(capsys, experiment, tmp_path):
    output = run(capsys, experiment, *single("One. Two. Three."), "--infer_output_dir", tmp_path)
    warnings = [line for line in output.splitlines() if "Warning" in line]
    assert len(warnings) == 1
    assert "Griffin-Lim" in warnings[0]
    assert "--vocoder_dir" in warnings[0]


def test_batch_speaks_a_list_and_skips_what_cannot_be_said(capsys, experiment, vocoder, config, tmp_path):
    flags = ("--infer_mode", "batch", "--infer_dataset", "Tiny", "--infer_testing_set", "test", "--config", config)
    output = run(capsys, experiment, *flags, "--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["u1.wav", "u2.wav"]
    assert "skipped: u3: nothing to pronounce in '***'" in output
    assert "1 of 3 texts could not be spoken" in output
    assert LAST_LINE.search(output.splitlines()[-1])


def test_a_file_of_texts(capsys, experiment, vocoder, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(
        "\ufeffa1|Hello there.\r\n\r\na1|Once more.\r\n../../up|No way out.\r\nNo name here.\r\n".encode()
        + b"lj|$5|five\n"
    )
    output_dir = tmp_path / "out"
    run(
        capsys,
        experiment,
        "--infer_mode",
        "batch",
        "--infer_file",
        path,
        "--infer_output_dir",
        output_dir,
        "--vocoder_dir",
        vocoder,
    )
    names = ["a1-2.wav", "a1.wav", "lines-0005.wav", "lj.wav", "up.wav"]
    assert sorted(p.name for p in output_dir.iterdir()) == names
    assert not list(tmp_path.parent.glob("up*"))
    frames = soundfile.info(output_dir / "lj.wav").frames
    assert frames == 3 * 4 * 256  # F AY1 V: the last column, as in LJSpeech's metadata.csv


def test_equal_ids_get_numbers_in_the_order_of_the_file(capsys, experiment, vocoder, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("a|Hello there my dear old friend of mine.\na|Hi.\na|Oh dear me.\n", encoding="utf-8")
    flags = ("--infer_mode", "batch", "--infer_file", texts, "--vocoder_dir", vocoder, "--infer_output_dir", tmp_path)
    assert "a-2 and 1 more got a number" in run(capsys, experiment, *flags)
    sizes = [(tmp_path / f"{name}.wav").stat().st_size for name in ("a", "a-2", "a-3")]
    assert sizes[0] > sizes[2] > sizes[1]


def test_the_same_alone_and_in_a_batch(capsys, experiment, vocoder, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("short|Hello.\nlong|This is a much longer sentence than the other one is.\n")
    flags = ("--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder)
    run(capsys, experiment, "--infer_mode", "batch", "--infer_file", path, *flags)
    run(capsys, experiment, *single("Hello."), *flags)
    batch, alone = (soundfile.read(tmp_path / "out" / name, dtype="int16")[0] for name in ("short.wav", "hello.wav"))
    assert np.abs(batch.astype(int) - alone).max() <= 1


@pytest.mark.parametrize("spelling", ["hifigan_amphion", "hifigan_amphion/checkpoints", None])
@pytest.mark.parametrize(
    "folder", ["fastspeech2_amphion", "fastspeech2_amphion_module/checkpoint/epoch-0001_step-0000777_loss-1.074404"]
)
def test_published_folders(capsys, published, tmp_path, folder, spelling):
    flags = ("--vocoder_dir", published / spelling) if spelling else ()
    output = run(capsys, published / folder, *single(), "--infer_output_dir", tmp_path / "out", *flags)
    wav, rate = soundfile.read(tmp_path / "out/hello_there.wav")
    assert rate == 22050
    assert len(wav) % 256 == 0
    assert wav.std() > 0
    assert ("Griffin-Lim" in output) == (spelling is None)


def test_long_texts_of_any_length(capsys, experiment, vocoder, tmp_path):
    text = "This is a sentence that goes on for a while, and then it ends. " * 30
    run(capsys, experiment, *single(text), "--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder)
    (wav,) = (tmp_path / "out").glob("*.wav")
    assert soundfile.info(wav).duration > 30 * 40 * 4 * 256 / 22050


@pytest.mark.parametrize("feature", ["duration", "pitch", "energy"])
@pytest.mark.parametrize("factor", ["0.01", "100"])
def test_extreme_controls(capsys, experiment, vocoder, tmp_path, feature, factor):
    flags = ("--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder, f"--{feature}_control", factor)
    output = run(capsys, experiment, *single("Hello there, my friend."), *flags)
    (wav,) = (tmp_path / "out").glob("*.wav")
    assert soundfile.info(wav).frames >= 256
    assert ("Warning" in output) == (feature == "duration")


def test_too_loud_a_wav_is_scaled_and_said(capsys, experiment, vocoder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        HiFiGANGenerator, "forward", lambda self, mel, _=None: torch.full((1, 1, mel.shape[2] * 256), -2.0)
    )
    output = run(capsys, experiment, *single(), "--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder)
    wav, _ = soundfile.read(tmp_path / "out/hello_there.wav")
    assert wav.min() == -1.0
    assert "hello_there.wav: its peak is 2.00 of full scale" in output


def test_speakers(capsys, duet, vocoder, config, tmp_path):
    flags = ("--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder)
    assert "choose one with --infer_speaker_name; its speakers: ann, bob" in fails(capsys, duet, *single(), *flags)
    message = fails(capsys, duet, *single(), *flags, "--infer_speaker_name", "cid")
    assert "cid" in message and "ann, bob" in message
    run(capsys, duet, *single(), *flags, "--infer_speaker_name", "ann")
    run(capsys, duet, *single(), *flags, "--infer_speaker_name", "bob")
    wavs = [soundfile.read(tmp_path / "out" / name)[0] for name in ("hello_there.wav", "hello_there-2.wav")]
    assert np.abs(wavs[0] - wavs[1]).max() > 0
    batch = ("--infer_mode", "batch", "--infer_dataset", "Tiny", "--infer_testing_set", "test", "--config", config)
    run(capsys, duet, *batch, *flags)  # the data set names each utterance's speaker
    assert (tmp_path / "out/u2.wav").is_file()


def test_a_speaker_whose_name_is_in_two_corpora(capsys, vocoder, config, tmp_path):
    folder = make_experiment(tmp_path / "both", ("Other/ann", "Tiny/ann", "bob"))
    batch = ("--infer_mode", "batch", "--infer_dataset", "Tiny", "--infer_testing_set", "test", "--config", config)
    run(capsys, folder, *batch, "--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder)
    run(capsys, folder, *single("First one."), "--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder,
        "--infer_speaker_name", "Tiny/ann")  # fmt: skip
    wavs = [soundfile.read(tmp_path / "out" / name)[0] for name in ("u1.wav", "first_one.wav")]
    np.testing.assert_allclose(wavs[0], wavs[1], atol=1e-4)


def test_texts_that_cannot_be_spoken(capsys, experiment, tmp_path):
    assert "--infer_text: the text is empty" in fails(capsys, experiment, *single("  "))
    assert "nothing to pronounce in '***'" in fails(capsys, experiment, *single("***"))
    path = tmp_path / "lines.txt"
    path.write_text("a|***\nb|\n")
    assert "none of the 2 texts" in fails(capsys, experiment, "--infer_mode", "batch", "--infer_file", path)
    path.write_text("\n\n")
    assert "lines.txt: holds no text" in fails(capsys, experiment, "--infer_mode", "batch", "--infer_file", path)
    path.write_bytes(b"\xff\xfe\x00")
    assert "it is not UTF-8" in fails(capsys, experiment, "--infer_mode", "batch", "--infer_file", path)
    missing = tmp_path / "none.txt"
    assert "No such file" in fails(capsys, experiment, "--infer_mode", "batch", "--infer_file", missing)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--infer_mode", "single"), "needs --infer_text or --infer_file"),
        (("--infer_mode", "batch"), "needs --infer_dataset"),
        (("--infer_mode", "batch", "--infer_dataset", "X"), "needs --infer_testing_set"),
        (("--infer_mode", "batch", "--infer_text", "x"), "--infer_text is for --infer_mode single"),
        ((*single(), "--infer_file", "x"), "exclude each other"),
        ((*single(), "--pitch_control", "0"), "'0' is no factor"),
        ((*single(), "--duration_control", "-1"), "no factor"),
        ((*single(), "--energy_control", "nan"), "no factor"),
        ((*single(), "--energy_control", "loud"), "'loud' is no factor"),
    ],
)
def test_flags_that_do_not_fit(capsys, experiment, flags, words):
    assert words in fails(capsys, experiment, *flags)


def test_config_typos_and_missing_lists_are_named(capsys, experiment, config):
    batch = ("--infer_mode", "batch", "--infer_dataset", "Tiny", "--config", config, "--infer_testing_set")
    assert "trian: unknown key" in fails(capsys, experiment, *batch, "test", "--set", "trian.x=1")
    message = fails(capsys, experiment, *batch, "valid", code=1)
    assert "valid.jsonl" in message and "stage 1" in message


def test_folders_that_do_not_fit(capsys, experiment, vocoder, tmp_path):
    assert "train first: sh egs/" in fails(capsys, tmp_path / "nobody", *single())
    bare = make_experiment(tmp_path / "bare")
    for step in (10, 20):
        (bare / f"checkpoint/step-{step:07d}/model.safetensors").unlink()
        (bare / f"checkpoint/step-{step:07d}").rmdir()
    message = fails(capsys, bare, *single(), code=1)
    assert "no checkpoint yet" in message and "--stage 2 --name bare" in message
    assert "no such vocoder folder" in fails(capsys, experiment, *single(), "--vocoder_dir", tmp_path / "none")
    config = json.loads((vocoder / "config.json").read_text())
    (vocoder / "config.json").write_text(json.dumps(config | {"fmax": 11025, "sampling_rate": 24000}))
    message = fails(capsys, experiment, *single(), "--vocoder_dir", vocoder)
    assert "sample_rate: 22050 (acoustic model), 24000 (vocoder)" in message
    assert "fmax: 8000 (acoustic model), 11025 (vocoder)" in message


def test_an_output_folder_that_cannot_be(capsys, experiment, tmp_path):
    (tmp_path / "file").touch()
    message = fails(capsys, experiment, *single(), "--infer_output_dir", tmp_path / "file")
    assert "--infer_output_dir" in message


def test_a_wav_that_cannot_be_written_leaves_nothing_behind(capsys, experiment, vocoder, tmp_path, monkeypatch):
    def full_disk(path, wav, rate):
        write_wav(path, wav, rate)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("utils.audio_io.write_wav", full_disk)
    flags = ("--infer_output_dir", tmp_path / "out", "--vocoder_dir", vocoder)
    assert "No space left on device" in fails(capsys, experiment, *single(), *flags, code=1)
    assert list((tmp_path / "out").iterdir()) == []
