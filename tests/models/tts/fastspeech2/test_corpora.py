"""Training on several corpora and speakers, and from the weights of another model."""

import json
import shutil

import pytest
import torch

from models.tts.experiment import read_experiment
from models.tts.fastspeech2.dataset import FastSpeech2Dataset
from models.tts.fastspeech2.load import load_own_model
from models.tts.fastspeech2.tables import find_speaker, read_tables
from tests.models.conftest import make_features
from utils.checkpoint import read_weights
from utils.errors import UserError
from utils.jsonl import read_json

DUET = 'dataset=["Tones", "Choir"]'


@pytest.fixture
def choir(tmp_path):
    return make_features(tmp_path / "data/Choir", speakers=("alto", "one"))


def test_corpora_are_joined_and_nothing_clashes(features, choir):
    data = FastSpeech2Dataset([features, choir], "train")
    assert data.speakers == {"Choir/one": 0, "Tones/one": 1, "alto": 2}
    assert len(data) == 22 and data.lengths == 2 * FastSpeech2Dataset([features], "train").lengths
    assert data.speaker_ids == [1] * 11 + [2, 0] * 5 + [2]
    assert [row["dataset"] for row in data.rows] == ["Tones"] * 11 + ["Choir"] * 11
    first, same = data[0], data[11]  # equal ids and features: the first speaker of each has its corpus's statistics
    assert torch.equal(first.pitch, same.pitch) and torch.equal(first.mel, same.mel)
    single, choral = FastSpeech2Dataset([features], "train")[1], data[12]
    spoken = single.durations > 0
    torch.testing.assert_close(choral.pitch[spoken] * 10 + 110, single.pitch[spoken] * 15 + 120)
    with pytest.raises(UserError, match="lacks the speaker bass"):
        find_speaker(data.speakers, "bass", "Choir")


def test_one_corpus_keeps_its_tables(choir):
    tables = read_tables([choir])
    assert {name: read_json(choir / name) for name in tables} == tables


@pytest.mark.parametrize("damage", ['{"pitch": 1}', "[]", '{"pitch": {"mean": 1}, "energy": {}}'])
def test_a_damaged_table_is_named(features, choir, damage):
    (choir / "stats.json").write_text(damage)
    with pytest.raises(UserError, match=r"Choir/stats\.json is damaged"):
        read_tables([features, choir])


def test_corpora_of_other_symbols_are_refused(features, choir):
    (choir / "symbols.json").write_text('["_", "AA"]')
    with pytest.raises(UserError, match="different symbols: run stage 1 again"):
        read_tables([features, choir])


def test_a_training_on_two_corpora_resumes_exactly_and_speaks(trained, choir, on_cpu):
    whole = trained("whole", DUET, "train.batch_size=4")
    trained("cut", DUET, "train.batch_size=4", "train.max_steps=6")
    cut = trained("cut", DUET, "train.batch_size=4", resume=True)
    weights, again = (read_weights(folder / "model.safetensors") for folder in (whole, cut))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert weights["speaker_embedding.weight"].abs().sum(1).min() > 0  # every speaker has learned something
    assert weights["pitch_mean"].tolist() == [110.0, 120.0, 120.0]

    experiment = read_experiment(whole)
    assert experiment.speakers == {"Choir/one": 0, "Tones/one": 1, "alto": 2}
    model = load_own_model(experiment).eval()
    ids = torch.tensor([experiment.phone_ids(["HH", "AH0", "L", "OW1"])] * 2)
    low, high = model(ids, torch.tensor([4, 4]), speaker_id=torch.tensor([0, 2])).mel_postnet
    assert not torch.equal(low, high)


def test_a_checkpoint_of_other_corpora_is_refused(trained, choir, on_cpu):
    trained("two", DUET, "train.max_steps=6")
    with pytest.raises(UserError, match="no longer what .* was trained on"):
        trained("two", resume=True)


def test_many_speakers_start_from_a_single_one(trained, choir, on_cpu):
    single = trained("single")
    before = read_weights(single / "model.safetensors")
    settings = ("train.max_steps=1", "train.save_every=1", "train.random_seed=5")
    started = trained("started", DUET, *settings, start_from=single)
    after = read_weights(started / "model.safetensors")
    assert (started.parents[1] / "args.json").is_file()
    fresh = read_weights(trained("fresh", DUET, *settings) / "model.safetensors")
    for name in ("decoder.blocks.0.attention.qkv.weight", "embedding.weight", "mel_linear.weight"):
        assert (after[name] - before[name]).abs().max() < 1e-3 < (fresh[name] - before[name]).abs().max()


def test_the_same_speech_before_the_first_step(trained, choir, on_cpu, small_config, fresh_accelerator):
    from config.load import load_config
    from models.tts.fastspeech2.trainer import FastSpeech2Trainer

    ids, lengths = torch.tensor([[1, 2, 3, 4]]), torch.tensor([4])
    durations = torch.tensor([[2, 3, 2, 3]])

    def spoken(model, speaker=None):
        chosen = None if speaker is None else torch.tensor([speaker])
        return model.eval()(ids, lengths, durations=durations, speaker_id=chosen).mel_postnet

    def new(start, *overrides):
        fresh_accelerator()
        trainer = FastSpeech2Trainer(load_config(small_config, overrides), small_config.parent / "ckpts/new")
        trainer.build()
        trainer.start_from(start)
        return trainer.accelerator.unwrap_model(trainer.model)

    single = trained("single")
    choir_model = new(single, DUET)
    for speaker in range(3):  # one speaker -> three, who sound like that one
        torch.testing.assert_close(spoken(choir_model, speaker), spoken(load_own_model(read_experiment(single))))
    many = trained("many", DUET)
    model = load_own_model(read_experiment(many))
    torch.testing.assert_close(spoken(new(many, DUET), 1), spoken(model, 1))
    with torch.no_grad():  # a new speaker of a model with several is their mean
        model.speaker_embedding.weight[:] = model.speaker_embedding.weight.mean(0)
    torch.testing.assert_close(spoken(new(many)), spoken(model, 1))


def test_new_symbols_start_from_similar_ones(trained, features, small_config, on_cpu, capsys):
    single = trained("single")
    renamed = ["_", "HH", "AH1", "L", "OW", "sp", "W", "ER2", "ZH", "."]
    for split in ("train", "valid"):
        text = (features / f"{split}.jsonl").read_text()
        for old, new in zip(("AH0", "OW1", ",", "ER1", "D"), ("AH1", "OW", "sp", "ER2", "ZH"), strict=True):
            text = text.replace(json.dumps(old), json.dumps(new))
        (features / f"{split}.jsonl").write_text(text)
    (features / "symbols.json").write_text(json.dumps(renamed))
    started = trained("started", "train.max_steps=1", "train.save_every=1", "train.random_seed=5", start_from=single)
    before, after = (read_weights(path / "model.safetensors")["embedding.weight"] for path in (single, started))
    close = (after - before).abs().amax(1) < 1e-3
    assert close.tolist() == [True] * 4 + [True, True, True, True, False, True]
    logged = capsys.readouterr().out
    assert "AH1 from AH0, OW from OW1, sp from ,, ER2 from ER1" in logged
    assert "nothing is similar to: ZH" in logged


def test_another_shape_or_mel_is_refused(trained, features, small_config, on_cpu):
    single = trained("single")
    with pytest.raises(UserError, match="weights do not fit this model"):
        trained("wide", "model.postnet.hidden=12", start_from=single)
    with pytest.raises(UserError, match="--resume_from_ckpt_path .*: not an experiment"):
        trained("nothing", start_from=features)
    empty = shutil.copytree(single.parents[1], single.parents[2] / "copy", ignore=shutil.ignore_patterns("checkpoint"))
    with pytest.raises(UserError, match="no checkpoint yet"):
        trained("empty", start_from=empty)
    lock = features / "preprocess.lock.json"
    lock.write_text(lock.read_text().replace('"n_mel": 16', '"n_mel": 16, "fmax": 7000.0'))
    with pytest.raises(UserError, match=r"another mel: preprocess\.fmax: 8000\.0 there, 7000\.0 in the configuration"):
        trained("other", "preprocess.fmax=7000", start_from=single)
