import json

import pytest

from models.tts.experiment import read_experiment, speaker_id
from utils.errors import UserError


def own_folder(root, model_type="FastSpeech2"):
    (root / "checkpoint/step-0000010").mkdir(parents=True)
    (root / "args.json").write_text(json.dumps({"model_type": model_type, "preprocess": {"n_mel": 40}}))
    (root / "symbols.json").write_text('["_", "AA1", "."]')
    (root / "stats.json").write_text("{}")
    (root / "speakers.json").write_text('{"ann": 0, "bob": 1}')
    return root


@pytest.mark.parametrize("inside", ["", "checkpoint", "checkpoint/step-0000010"])
def test_own_experiment_from_any_folder_in_it(tmp_path, inside):
    experiment = read_experiment(own_folder(tmp_path / "x") / inside)
    assert not experiment.published
    assert experiment.root == tmp_path / "x"
    assert experiment.preprocess.n_mel == 40
    assert experiment.speakers == {"ann": 0, "bob": 1}
    assert experiment.phone_ids(["AA1", "."]) == [1, 2]


@pytest.mark.parametrize("inside", ["", "checkpoint", "checkpoint/epoch-0001_step-0000777_loss-1.07"])
def test_published_folder_is_known_by_its_checkpoint(tmp_path, inside):
    (tmp_path / "checkpoint/epoch-0001_step-0000777_loss-1.07").mkdir(parents=True)
    (tmp_path / "args.json").write_text("{}")
    (tmp_path / "symbols.json").write_text("[]")  # some of them have one: it is not ours
    experiment = read_experiment(tmp_path / inside)
    assert experiment.published
    assert experiment.root.samefile(tmp_path)


def test_no_folder_and_no_experiment_say_how_to_train(tmp_path):
    for folder, words in ((tmp_path / "alice", "no such folder"), (tmp_path, "no args.json")):
        with pytest.raises(UserError, match=words) as error:
            read_experiment(folder)
        assert "train first: sh egs/tts/FastSpeech2/run.sh --stage 2 --name" in str(error.value)
        assert error.value.exit_code == 2


def test_files_that_are_missing_are_named(tmp_path):
    (own_folder(tmp_path) / "stats.json").unlink()
    with pytest.raises(UserError, match=r"stats.json missing.*no checkpoint/epoch-\*"):
        read_experiment(tmp_path)


def test_a_vocoder_is_sent_where_it_belongs(tmp_path):
    with pytest.raises(UserError, match="a HiFiGAN, not an acoustic model; pass it as --vocoder_dir"):
        read_experiment(own_folder(tmp_path, "HiFiGAN"))


def test_a_key_that_is_not_known_is_named(tmp_path):
    (own_folder(tmp_path) / "args.json").write_text('{"model_type": "FastSpeech2", "modle": {}}')
    with pytest.raises(UserError, match="modle: unknown key") as error:
        read_experiment(tmp_path)
    assert error.value.exit_code == 2


def test_speakers():
    assert speaker_id({}, None, "x") is None
    assert speaker_id({"ann": 0}, None, "x") is None
    assert speaker_id({"ann": 0}, "ann", "x") is None
    assert speaker_id({"ann": 0, "bob": 1}, "bob", "x") == 1
    for speakers, name, words in (
        ({"bob": 1, "ann": 0}, None, "2 speakers: choose one with --infer_speaker_name; its speakers: ann, bob"),
        ({"bob": 1, "ann": 0}, "cid", "cid: x has no such speaker; its speakers: ann, bob"),
        ({}, "cid", "one unnamed voice"),
    ):
        with pytest.raises(UserError, match=words) as error:
            speaker_id(speakers, name, "x")
        assert error.value.exit_code == 2
