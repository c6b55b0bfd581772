import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bins.teacher_forced import main
from config.load import build_config, load_config
from config.schema import MelSettings
from models.training.batching import collate
from models.training.resume import portable
from models.tts.fastspeech2 import teacher_forced
from models.tts.fastspeech2.dataset import FastSpeech2Dataset
from models.tts.fastspeech2.model import FastSpeech2
from models.tts.fastspeech2.tables import read_stats
from models.tts.fastspeech2.teacher_forced import forced
from models.vocoder.hifigan.dataset import HiFiGANDataset
from models.vocoder.sourcefilter.dataset import SourceFilterDataset
from modules.mel import MelSpectrogram
from preprocessors import read_corpus
from processors.acoustic import FeatureExtractor
from processors.stage1 import pipeline, worker
from processors.stage1.lock import check_features
from processors.stage1.pool import Workers
from text.symbols import SYMBOLS
from utils.audio_io import read_audio, to_pcm16, write_wav
from utils.data_folder import acoustic_dataset
from utils.jsonl import read_json, read_jsonl
from utils.shards import ShardReader, read_header, write_shard

MEL = MelSettings(22050, 1024, 1024, 256, 80, 0.0, 8000.0)
SETS = ("train", "valid", "test")
SMALL = {
    "transformer": {
        "encoder_layer": 1,
        "decoder_layer": 1,
        "encoder_hidden": 8,
        "decoder_hidden": 8,
        "conv_filter_size": 8,
    },
    "variance_predictor": {"filter_size": 8},
    "postnet": {"hidden": 8, "layers": 2},
}
FRACTIONS = {"valid_fraction": 0.2, "test_fraction": 0.2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_corpus) -> Path:
    """A folder with a corpus, its features, and a FastSpeech2 of random weights, as stages 1 and 2 leave them."""
    root = tmp_path_factory.mktemp("trained")
    shutil.copytree(tiny_corpus(40, words=3), root / "LJSpeech")
    preprocess = {"processed_dir": str(root / "data"), **FRACTIONS}
    config = build_config({"model_type": "FastSpeech2", "model": SMALL, "preprocess": preprocess})

    def in_this_process(self, plans, preprocess):
        for plan in plans:
            yield plan, worker.make_shard(plan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "_extractor", FeatureExtractor(config.preprocess))
        patch.setattr(Workers, "make", in_this_process)
        corpus = read_corpus("LJSpeech", root / "LJSpeech")
        pipeline.preprocess(config.preprocess, "LJSpeech", root / "LJSpeech", corpus, Workers(1))
    experiment = root / "ckpts/voice"
    folder = experiment / "checkpoint/step-0000010"
    folder.mkdir(parents=True)
    for name in ("symbols.json", "stats.json", "speakers.json"):
        shutil.copyfile(root / "data/LJSpeech" / name, experiment / name)
    (experiment / "args.json").write_text(json.dumps(portable(config)))
    model = FastSpeech2(config.model, len(SYMBOLS), 80, 1, read_stats(experiment, {"LJSpeech": 0}))
    save_file(model.state_dict(), folder / "model.safetensors")
    return root


@pytest.fixture
def place(trained, tmp_path) -> Path:
    """A copy that a test may change, with a vocoder's configuration."""
    root = Path(shutil.copytree(trained, tmp_path / "place"))
    write_config(root)
    return root


def write_config(root: Path, **preprocess: object) -> None:
    values = {
        "model_type": "HiFiGAN",
        "dataset": ["LJSpeech"],
        "dataset_path": {"LJSpeech": str(root / "LJSpeech")},
        "preprocess": {"processed_dir": str(root / "vocoder"), **FRACTIONS, **preprocess},
    }
    (root / "exp_config.json").write_text(json.dumps(values))


def flags(root: Path) -> list[str]:
    return [
        f"--config={root / 'exp_config.json'}",
        f"--acoustic_dir={root / 'ckpts/voice'}",
        f"--acoustic_data_dir={root / 'data/LJSpeech'}",
    ]


def fails(capsys, arguments: list[str], code: int) -> str:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err and captured.err.count("\n") == 1
    return captured.err


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(folder: Path) -> list[dict]:
    return [row for name in SETS for row in read_jsonl(folder / f"{name}.jsonl")]


def test_audio_and_mel_lie_on_the_features_frame_by_frame(place):
    main(flags(place))
    out, data = place / "vocoder/LJSpeech-voice", place / "data/LJSpeech"
    made, features = ShardReader(out), ShardReader(data)
    spectrogram, margin = MelSpectrogram(**asdict(MEL)), (MEL.n_fft - MEL.hop_size) // 2 // MEL.hop_size + 1
    acoustic_rows = {row["utt_id"]: row for row in rows_of(data)}
    rows = rows_of(out)
    assert len(rows) == len(acoustic_rows) == 40
    assert any(row["first_frame"] > 0 for row in acoustic_rows.values())
    for row in rows:
        acoustic = acoustic_rows[row["utt_id"]]
        assert list(row) == ["utt_id", "speaker", "num_samples", "shard"]
        assert row["num_samples"] == acoustic["num_frames"] * 256
        wav = made.read(row["shard"], row["utt_id"], "wav")
        assert wav.dtype == torch.int16 and len(wav) == row["num_samples"]
        own = spectrogram(wav.float()[None] / 32768)[0][margin:-margin]
        there = features.read(acoustic["shard"], row["utt_id"], "mel")[margin:-margin]
        # The recordings have 16 bits as well, so that inside of the edges the sound is the same to the last bit.
        torch.testing.assert_close(own, there, rtol=0, atol=1e-3)
        first = acoustic["first_frame"] * 256
        recorded, _ = read_audio(place / f"LJSpeech/wavs/{row['utt_id']}.wav")
        assert np.array_equal(wav.numpy(), to_pcm16(recorded[first : first + len(wav), 0]))


def test_a_vocoder_with_a_source_finds_the_recordings_pitch(place):
    values = json.loads((place / "exp_config.json").read_text())
    (place / "exp_config.json").write_text(json.dumps({**values, "model_type": "SourceFilter"}))
    main(flags(place))
    dataset = SourceFilterDataset([place / "vocoder/LJSpeech-voice"], "valid", MEL, 8192)
    (wav, mel), pitch = dataset.clip(0), dataset.pitch(0)
    assert len(mel) == len(pitch) == len(wav) // 256
    assert (pitch > 0).float().mean() > 0.3
    before = (place / "vocoder/LJSpeech-voice/preprocess.lock.json").read_bytes()
    main([*flags(place), "--set=preprocess.f0_min=90"])
    assert (place / "vocoder/LJSpeech-voice/preprocess.lock.json").read_bytes() != before


def test_mels_are_the_models_teacher_forced_ones_whatever_the_batches(place, monkeypatch):
    monkeypatch.setattr(teacher_forced, "MAX_FRAMES", {"cpu": 400})
    main(flags(place))
    made = ShardReader(place / "vocoder/LJSpeech-voice")
    rows = {row["utt_id"]: row for row in rows_of(place / "vocoder/LJSpeech-voice")}
    from models.tts.experiment import read_experiment
    from models.tts.fastspeech2.load import load_own_model

    model = load_own_model(read_experiment(place / "ckpts/voice")).eval()
    for split in SETS:
        dataset = FastSpeech2Dataset([place / "data/LJSpeech"], split)
        for index in range(min(3, len(dataset))):
            utt_id = dataset.rows[index]["utt_id"]
            with torch.inference_mode():
                alone = forced(model, collate([dataset[index]])).mel_postnet[0]
            mel = made.read(rows[utt_id]["shard"], utt_id, "mel")
            assert mel.dtype == torch.float16 and alone.std() > 0.01
            torch.testing.assert_close(mel.float(), alone, rtol=1e-3, atol=1e-3)


def test_the_trainer_finds_what_it_needs(place):
    main(flags(place))
    out = place / "vocoder/LJSpeech-voice"
    assert out.name == acoustic_dataset("LJSpeech", place / "ckpts/voice")
    config = load_config(place / "exp_config.json", ['dataset=["LJSpeech-voice"]'])
    assert check_features(config) == [out]
    for split in (*SETS, "golden_test"):  # the acoustic model's sets, not the vocoder's own
        ours = [row["utt_id"] for row in read_jsonl(out / f"{split}.jsonl")]
        assert ours == [row["utt_id"] for row in read_jsonl(place / f"data/LJSpeech/{split}.jsonl")]
    wav, mel = HiFiGANDataset([out], "valid", MEL, 8192).clip(0)
    assert mel.shape == (len(wav) // 256, 80)
    acoustic = read_json(out / "preprocess.lock.json")["acoustic"]
    assert (acoustic["experiment"], acoustic["checkpoint"]) == ("voice", "step-0000010")


def test_a_stopped_run_goes_on_and_a_finished_one_is_left_alone(place, monkeypatch, capsys):
    main(flags(place))
    out = place / "vocoder/LJSpeech-voice"
    whole = contents(out)
    made = []
    speak = teacher_forced.TeacherForced.mels

    def counted(self, places):
        made.append(len(places))
        if len(made) == stop_at:
            raise KeyboardInterrupt
        return speak(self, places)

    monkeypatch.setattr(teacher_forced.TeacherForced, "mels", counted)
    stop_at = 0
    main(flags(place))
    assert made == [] and "nothing to do" in capsys.readouterr().out

    shutil.rmtree(out)
    stop_at = 2
    with pytest.raises(SystemExit) as stop:
        main(flags(place))
    assert stop.value.code == 130
    assert not (out / "preprocess.lock.json").exists()  # nothing trains on half of it
    made.clear()
    stop_at = 0
    (out / "shards/shard-00009.safetensors").touch()  # of features that were laid out otherwise
    main(flags(place))
    assert len(made) == len(list((out / "shards").iterdir())) - 1  # all but the one that was finished
    assert contents(out) == whole


def test_a_shard_that_is_lost_or_shall_be_tried_again_is_made_anew(place):
    main(flags(place))
    out = place / "vocoder/LJSpeech-voice"
    whole = contents(out)
    lost, again = sorted((out / "shards").iterdir())[:2]
    lost.unlink()
    header = read_header(again)
    write_shard(again, {}, header | {"retry": True, "records": []})
    main(flags(place))
    assert contents(out) == whole


def test_each_checkpoint_of_each_experiment_has_a_name_of_its_own(place):
    voice = place / "ckpts/voice"
    assert acoustic_dataset("LJSpeech", voice) == acoustic_dataset("LJSpeech", voice / "checkpoint") == "LJSpeech-voice"
    assert acoustic_dataset("LJSpeech", voice / "checkpoint/step-0000010") == "LJSpeech-voice-step-0000010"
    assert acoustic_dataset("LJSpeech", voice / "best") == "LJSpeech-voice-best"


def test_other_weights_make_everything_anew(place):
    main(flags(place))
    out = place / "vocoder/LJSpeech-voice"
    before = contents(out)
    newer = place / "ckpts/voice/checkpoint/step-0000020"
    shutil.copytree(newer.with_name("step-0000010"), newer)
    weights = {name: tensor * 1.1 for name, tensor in load_file(newer / "model.safetensors").items()}
    save_file(weights, newer / "model.safetensors")
    main(flags(place))
    after = contents(out)
    assert read_json(out / "preprocess.lock.json")["acoustic"]["checkpoint"] == "step-0000020"
    assert all(after[name] != before[name] for name in before if name.startswith("shards/"))
    assert after["train.jsonl"] == before["train.jsonl"]


def test_what_cannot_be_read_is_skipped_with_its_reason(place, capsys):
    rows = read_jsonl(place / "data/LJSpeech/train.jsonl")
    gone, cut, forgotten = (row["utt_id"] for row in rows[:3])
    (place / f"LJSpeech/wavs/{gone}.wav").unlink()
    wav, rate = read_audio(place / f"LJSpeech/wavs/{cut}.wav")
    write_wav(place / f"LJSpeech/wavs/{cut}.wav", wav[: len(wav) // 2, 0], rate)
    metadata = place / "LJSpeech/metadata.csv"
    lines = [line for line in metadata.read_text().splitlines() if not line.startswith(forgotten)]
    metadata.write_text("\n".join(lines) + "\n")
    main(flags(place))
    output = capsys.readouterr().out
    assert f"skipped {gone}: audio is missing" in output or f"skipped {gone}: not in the corpus" in output
    assert f"skipped {cut}: recording is shorter than its features" in output
    assert f"skipped {forgotten}: not in the corpus any more" in output
    kept = {row["utt_id"] for row in rows_of(place / "vocoder/LJSpeech-voice")}
    assert len(kept) == 37 and not kept & {gone, cut, forgotten}
    assert "3 skipped" in output


def test_a_recording_that_was_replaced_is_skipped_until_the_old_one_is_back(place, capsys):
    out, wavs = place / "vocoder/LJSpeech-voice", place / "LJSpeech/wavs"
    main(flags(place))
    whole = contents(out)
    shutil.rmtree(out)
    another, edited, copied = (row["utt_id"] for row in read_jsonl(place / "data/LJSpeech/train.jsonl")[:3])
    before = {utt_id: (wavs / f"{utt_id}.wav").read_bytes() for utt_id in (another, edited)}
    wav, rate = read_audio(wavs / f"{another}.wav")
    write_wav(wavs / f"{another}.wav", np.roll(wav[:, 0], rate // 20), rate)  # as long, but said 50 ms later
    wav, rate = read_audio(wavs / f"{edited}.wav")
    middle = len(wav) // 2
    wav[middle : middle + 2000] *= 0.5
    write_wav(wavs / f"{edited}.wav", wav[:, 0], rate)
    (wavs / f"{copied}.wav").touch()  # the same sound in a newer file
    capsys.readouterr()
    main(flags(place))
    output = capsys.readouterr().out
    for utt_id in (another, edited):
        assert f"skipped {utt_id}: recording is not the one that its features were made of: put the old one" in output
    assert "run stages 1 and 2" in output and "2 skipped" in output
    assert len(rows_of(out)) == 38 and copied in {row["utt_id"] for row in rows_of(out)}
    for utt_id, recorded in before.items():
        (wavs / f"{utt_id}.wav").write_bytes(recorded)
    main(flags(place))
    assert contents(out) == whole


def test_another_mel_is_refused(place, capsys):
    write_config(place, fmin=50.0)
    assert "fmin: 0 (acoustic model), 50 (vocoder)" in fails(capsys, flags(place), 2)


def test_other_sets_are_said(place, capsys):
    write_config(place, split_seed=7)
    main(flags(place))
    assert "preprocess.split_seed: the acoustic model's differ" in capsys.readouterr().out


def test_features_that_are_not_the_models(place, capsys):
    data = place / "data/LJSpeech"
    stats = read_json(data / "stats.json")
    stats["pitch"]["mean"] += 1
    (data / "stats.json").write_text(json.dumps(stats))
    assert "stats.json is not what" in fails(capsys, flags(place), 2)
    lock = read_json(data / "preprocess.lock.json")
    (data / "preprocess.lock.json").write_text(json.dumps(lock | {"features_version": 1}))
    assert "made by another version" in fails(capsys, flags(place), 1)
    shutil.rmtree(data)
    assert "--acoustic_data_dir" in fails(capsys, flags(place), 1)


def test_what_is_no_acoustic_model_or_no_vocoder(place, capsys):
    arguments = flags(place)
    assert "--acoustic_dir nowhere: no such folder" in fails(
        capsys, [arguments[0], "--acoustic_dir=nowhere", arguments[2]], 2
    )
    config = place / "exp_config.json"
    config.write_text(config.read_text().replace("HiFiGAN", "FastSpeech2"))
    assert "not a vocoder" in fails(capsys, arguments, 2)
