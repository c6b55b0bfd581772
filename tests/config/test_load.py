"""The configuration's loader: what a user may write, and what each mistake is told."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import REPO_ROOT, ConfigError, build_config, load_config, main, to_dict
from config.schema import ExpConfig

SEED = REPO_ROOT / "egs/tts/FastSpeech2/exp_config.json"


def write(folder: Path, text: str) -> Path:
    path = folder / "exp_config.json"
    path.write_text(text, encoding="utf-8")
    return path


def errors_of(values: dict) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        build_config({"model_type": "FastSpeech2", **values})
    return str(caught.value).splitlines()


# Neither what `make demo` leaves in egs/demo/corpus nor the tables of the voice in egs/voice.
RECIPES = sorted(
    path
    for path in REPO_ROOT.glob("egs/**/*.json")
    if "corpus" not in path.parts and path.name not in ("symbols.json", "stats.json", "speakers.json")
)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: str(p.relative_to(REPO_ROOT)))
def test_every_recipe_loads(path):
    assert isinstance(load_config(path), ExpConfig)


def test_the_recipes_are_found():
    assert {path.parent.name for path in RECIPES} >= {"FastSpeech2", "hifigan", "demo"}


@pytest.mark.parametrize("path", sorted(REPO_ROOT.glob("config/*.json")), ids=lambda p: p.name)
def test_every_base_loads(path):
    load_config(path)


def test_the_snippet_that_amphions_users_have_is_valid(tmp_path):
    config = load_config(
        write(
            tmp_path,
            """{
            "base_config": "config/fs2.json",
            "model_type": "FastSpeech2",
            "dataset": [
              "LJSpeech"
            ],
            "dataset_path": {
              // TODO: Fill in your dataset path
              "LJSpeech": "[LJSpeech dataset path]"
            },
            "log_dir": "ckpts/tts",
            "preprocess": {
                "processed_dir": "data",
                "sample_rate": 22050,
            },
            "train": {
                "batch_size": 16,
                "max_epoch": 100,
            }
            }""",
        )
    )
    assert config.dataset == ("LJSpeech",)
    assert config.preprocess.hop_size == 256 and config.train.max_epoch == 100


def test_objects_merge_over_the_base_and_lists_replace(tmp_path):
    base = write(tmp_path, '{"model_type": "FastSpeech2", "train": {"batch_size": 8, "adam": {"betas": [0.8, 0.9]}}}')
    base = base.rename(tmp_path / "base.json")
    config = load_config(
        write(tmp_path, json.dumps({"base_config": str(base), "train": {"adam": {"betas": [0.5, 0.6], "eps": 1e-8}}}))
    )
    assert config.train.batch_size == 8
    assert config.train.adam.betas == (0.5, 0.6) and config.train.adam.eps == 1e-8


def test_overrides_win_and_are_read_as_json5_or_as_plain_words(tmp_path):
    config = load_config(
        SEED,
        [
            "train.batch_size=8",
            "train.max_epoch=null",
            "dataset_path.LJSpeech=/a b/c",
            "preprocess.fmin=20",
            "log_dir='x'",
        ],
    )
    assert config.train.batch_size == 8 and config.train.max_epoch is None
    assert config.dataset_path == {"LJSpeech": "/a b/c"}
    assert config.preprocess.fmin == 20.0 and isinstance(config.preprocess.fmin, float)
    assert config.log_dir == "x"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"batchsize": 8}}, "train.batchsize: unknown key; did you mean 'batch_size'?"),
        ({"datasets": []}, "datasets: unknown key; did you mean 'dataset'?"),
        ({"train": {"batch_size": "8"}}, 'train.batch_size: expected a whole number, got "8"'),
        ({"train": {"batch_size": True}}, "train.batch_size: expected a whole number, got true"),
        ({"train": {"batch_size": 8.0}}, "train.batch_size: expected a whole number, got 8.0"),
        ({"train": {"batch_size": 0}}, "train.batch_size: must be greater than 0, got 0"),
        ({"train": []}, "train: expected a section {...}, got []"),
        ({"train": {"adam": {"lr": float("nan")}}}, "train.adam.lr: expected a finite number, got nan"),
        ({"train": {"mixed_precision": "bf17"}}, 'mixed_precision: expected one of "auto", "no", "bf16", got "bf17"'),
        ({"train": {"max_epoch": None, "max_steps": None}}, "train.max_steps: max_epoch or max_steps must be set"),
        ({"preprocess": {"fmax": 12000}}, "preprocess.fmax: must not exceed half of sample_rate = 22050, got 12000.0"),
        ({"preprocess": {"hop_size": 255}}, "preprocess.hop_size: n_fft - hop_size must be even"),
        ({"dataset": "LJSpeech"}, 'dataset: expected a list [...], got "LJSpeech"'),
        ({"train": {"adam": {"weight_decay": -1}}}, "train.adam.weight_decay: must not be negative, got -1.0"),
        ({"dataset": ["../x"], "dataset_path": {"../x": "y"}}, "dataset: '../x' is not a plain name"),
        ({"model": {"transformer": {"encoder_hidden": 255}}}, "model.transformer.encoder_hidden: must be even"),
        ({"model": {"resblock": "1"}}, "model.resblock: unknown key"),
        ({"model_type": "FastSpeech"}, "model_type: unknown: 'FastSpeech'; did you mean 'FastSpeech2'?"),
        ({"model_type": None}, "model_type: missing"),
        ({"model_type": "HiFiGAN", "model": {"upsample_rates": [8, 8, 2, 4], "upsample_kernel_sizes": [16, 16, 4, 8]}},
         "model.upsample_rates: product is 512"),
        ({"preprocess": {"f0_max": 12000}}, "preprocess.f0_max: must not exceed half of sample_rate = 22050"),
        ({"model_type": "HiFiGAN", "train": {"segment_size": 8000}},
         "train.segment_size: must be a multiple of preprocess.hop_size = 256, got 8000"),
        ({"model_type": "HiFiGAN", "train": {"segment_size": 768}},
         "train.segment_size: must be at least preprocess.n_fft = 1024, got 768"),
        ({"model_type": "HiFiGAN", "model": {"resblock_kernel_sizes": [], "resblock_dilation_sizes": []}},
         "model.resblock_kernel_sizes: must have at least one number"),
        ({"model_type": "HiFiGAN", "model": {"resblock_dilation_sizes": [[1], [0], [1]]}},
         "model.resblock_dilation_sizes: each must be at least 1"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_path(values, message):
    assert any(message in line for line in errors_of(values)), errors_of(values)


def test_all_mistakes_are_told_at_once():
    lines = errors_of({"train": {"batchsize": 8, "max_steps": "many"}, "preprocess": {"n_mel": None}, "modle": {}})
    assert len(lines) == 4 and all(line.startswith("exp_config.json: ") for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"model_type": "FastSpeech2", "train": {}, "train": {}}', "not valid JSON5"),
        ('{"model_type": ', "not valid JSON5"),
        ("[]", "must hold one object"),
        ('{"base_config": "config/nowhere.json"}', "cannot be read (the base_config of exp_config.json)"),
        ('{"base_config": 3}', "base_config: expected a string"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match="exp_config.json|nowhere.json") as caught:
        load_config(write(tmp_path, text))
    assert message in str(caught.value)


def test_a_base_that_leads_back_to_itself_is_an_error(tmp_path):
    path = tmp_path / "exp_config.json"
    path.write_text(json.dumps({"base_config": str(path)}))
    with pytest.raises(ConfigError, match="leads back"):
        load_config(path)


@pytest.mark.parametrize("override", ["train.batch_size", "=3", "train..x=3", "model_type.x=3"])
def test_a_malformed_override_is_named(override):
    with pytest.raises(ConfigError, match="--set"):
        load_config(SEED, [override])


def test_an_override_of_an_unknown_key_is_an_error():
    with pytest.raises(ConfigError, match="train.batchsize: unknown key; did you mean 'batch_size'"):
        load_config(SEED, ["train.batchsize=8"])


def test_the_resolved_configuration_is_printed(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["config.load", "--config", str(SEED), "--set", 'log_dir=lög "dir"'])
    main()
    assert json.loads(capsys.readouterr().out) == to_dict(load_config(SEED, ['log_dir=lög "dir"']))
    monkeypatch.setattr("sys.argv", ["config.load", "--config", str(SEED), "--set", "batch=1"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "batch: unknown key" in capsys.readouterr().err


def test_the_resolved_configuration_loads_to_the_same():
    config = load_config(SEED, ["train.max_steps=7"])
    assert build_config(to_dict(config)) == config


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["train", "model", "adam", "lr", "dataset", "x", "betas"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_values_give_a_config_or_a_config_error(values):
    values = values if isinstance(values, dict) else {"train": values}
    try:
        config = build_config({"model_type": "FastSpeech2", **values})
    except ConfigError as error:
        assert str(error)
    else:
        assert build_config(to_dict(config)) == config


def test_one_key_of_a_section_leaves_the_models_other_defaults():
    adam = build_config({"model_type": "HiFiGAN", "train": {"adam": {"eps": 1e-6}}}).train.adam
    assert (adam.lr, adam.betas, adam.eps, adam.weight_decay) == (2e-4, (0.8, 0.99), 1e-6, 0.01)
