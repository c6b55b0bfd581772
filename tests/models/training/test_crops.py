"""The crops of an epoch: reproducible, shared without overlap, and always full batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.crops import CropSampler

SHAPES = (st.integers(1, 90), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))


def steps(sampler: CropSampler) -> list[list]:
    """The crops of each step of one process."""
    batches = list(sampler)
    assert len(batches) == len(sampler) == sampler.num_steps * sampler.accumulation
    assert all(len(batch) == sampler.batch_size for batch in batches)
    per_step = sampler.accumulation
    return [sum(batches[at : at + per_step], []) for at in range(0, len(batches), per_step)]


@given(*SHAPES, st.integers(0, 3))
def test_a_step_holds_the_same_crops_however_it_is_divided(num_clips, batch_size, processes, accumulation, epoch):
    lengths = [1] * num_clips
    parts = processes * accumulation
    whole = CropSampler(lengths, batch_size * parts, 7)
    whole.set_position(epoch)
    shares = []
    for index in range(processes):
        sampler = CropSampler(lengths, batch_size, 7, processes, index, accumulation)
        sampler.set_position(epoch)
        shares.append(steps(sampler))
    divided = [sorted(sum(step, [])) for step in zip(*shares, strict=True)]
    assert divided == [sorted(step) for step in steps(whole)]
    rows = [crop.row for step in divided for crop in step]
    if num_clips >= batch_size * parts:
        assert len(set(rows)) == len(rows) > num_clips - batch_size * parts  # each clip once, but for the rest
    else:
        assert set(rows) == set(range(num_clips))  # each clip, some of them again
    assert all(0 <= crop.fraction < 1 for step in divided for crop in step)


@given(*SHAPES, st.integers(0, 20))
def test_an_epoch_can_be_entered_at_any_step(num_clips, batch_size, processes, accumulation, start):
    sampler = CropSampler([1] * num_clips, batch_size, 7, processes, processes - 1, accumulation)
    sampler.set_position(2)
    whole = list(sampler)
    again = CropSampler([1] * num_clips, batch_size, 7, processes, processes - 1, accumulation)
    again.set_position(2, start)
    assert list(again) == whole[start * accumulation :]


def test_epochs_and_seeds_give_other_crops():
    def crops(seed, epoch):
        sampler = CropSampler([1] * 40, 8, seed)
        sampler.set_position(epoch)
        return {crop for batch in sampler for crop in batch}

    assert crops(1, 0) == crops(1, 0)
    assert not crops(1, 0) & crops(1, 1) and not crops(1, 0) & crops(2, 0)


def test_no_clips_is_an_error():
    with pytest.raises(ValueError, match="no clips"):
        CropSampler([], 4, 0)
