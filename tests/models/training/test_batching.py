"""The batches of an epoch: complete, reproducible, shared without overlap, and of similar length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.batching import LengthBucketSampler

LENGTHS = st.lists(st.integers(1, 900), min_size=4, max_size=200)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 5), st.integers(1, 4))
def test_processes_share_an_epoch_without_overlap(lengths, batch_size, epoch, processes):
    shares = []
    for index in range(processes):
        sampler = LengthBucketSampler(lengths, batch_size, 7, processes, index)
        sampler.set_position(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler)
    assert all(len(batch) > 0 for share in shares for batch in share)
    seen = [row for share in shares for batch in share for row in batch]
    assert len(seen) == len(set(seen))
    assert len(seen) > len(lengths) - processes  # fewer than one a process may wait for the next epoch
    if processes == 1:
        assert sorted(seen) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 9), st.integers(0, 3), st.integers(0, 20))
def test_an_epoch_can_be_entered_anywhere(lengths, batch_size, epoch, start):
    sampler = LengthBucketSampler(lengths, batch_size, 7)
    sampler.set_position(epoch)
    whole = list(sampler)
    again = LengthBucketSampler(lengths, batch_size, 7)
    again.set_position(epoch, start)
    assert list(again) == whole[start:]


def test_epochs_and_seeds_differ():
    lengths = list(range(100, 300))

    def batches(seed, epoch):
        sampler = LengthBucketSampler(lengths, 16, seed)
        sampler.set_position(epoch)
        return list(sampler)

    def neighbors(seed, epoch):
        return {frozenset(batch) for batch in batches(seed, epoch)}

    assert batches(1, 0) != batches(1, 1) and batches(1, 0) != batches(2, 0)
    assert not neighbors(1, 0) & neighbors(1, 1)  # not the same utterances side by side in every epoch


def test_little_padding_at_the_lengths_of_read_speech():
    lengths = np.random.default_rng(0).gamma(8, 70, 2000).clip(90, 870).astype(int)
    sampler = LengthBucketSampler(list(lengths), 16, 1)
    padded = sum(len(batch) * max(lengths[batch]) for batch in sampler)
    assert padded / lengths.sum() < 1.05


@given(LENGTHS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
def test_a_step_holds_the_same_utterances_however_it_is_divided(lengths, batch_size, processes, accumulation, epoch):
    parts = processes * accumulation
    if len(lengths) < parts:
        lengths = lengths * parts

    def steps(batch_size, processes, accumulation):
        samplers = [LengthBucketSampler(lengths, batch_size, 7, processes, i, accumulation) for i in range(processes)]
        for sampler in samplers:
            sampler.set_position(epoch)
        batches = [list(sampler) for sampler in samplers]
        assert all(len(own) == samplers[0].num_steps * accumulation for own in batches)
        return [
            sorted(row for own in batches for batch in own[at : at + accumulation] for row in batch)
            for at in range(0, len(batches[0]), accumulation)
        ]

    divided, whole = steps(batch_size, processes, accumulation), steps(batch_size * parts, 1, 1)
    if len(lengths) % (batch_size * parts) in {0, *range(parts, batch_size * parts)}:  # no rest is left out
        assert divided == whole
    else:
        assert len(divided) == len(whole) - 1


def test_fewer_utterances_than_batches_in_a_step_is_an_error():
    with pytest.raises(ValueError, match="5 utterances cannot feed 3 processes with 2 batches each"):
        LengthBucketSampler([5] * 5, 4, 0, 3, 0, 2)


@given(LENGTHS, st.integers(0, 3), st.integers(1, 3), st.integers(1, 3), st.integers(900, 5000), st.integers(0, 9))
def test_batches_by_frames_fit_and_are_shared_without_overlap(lengths, epoch, processes, accumulation, limit, start):
    if len(lengths) < processes * accumulation:
        return
    shares = []
    for index in range(processes):
        sampler = LengthBucketSampler(lengths, 1, 7, processes, index, accumulation, limit)
        sampler.set_position(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler) == sampler.num_steps * accumulation
        sampler.set_position(epoch, start)
        assert list(sampler) == shares[-1][start * accumulation :]
    assert all(
        batch and len(batch) * max(lengths[row] for row in batch) <= limit for share in shares for batch in share
    )
    seen = [row for share in shares for batch in share for row in batch]
    assert len(seen) == len(set(seen)) == len(lengths) // (processes * accumulation) * processes * accumulation
    for step in zip(*shares, strict=True):  # all processes have as many at every step
        assert len({len(batch) for batch in step}) == 1


@given(LENGTHS, st.integers(900, 5000))
def test_batches_by_frames_are_nearly_full(lengths, limit):
    """Nothing but the shortest utterances' batch may have room for two more of its longest."""
    batches = list(LengthBucketSampler(lengths, 1, 7, max_batch_frames=limit))
    room = [limit - len(batch) * max(lengths[row] for row in batch) for batch in batches]
    spare = [
        free
        for free, batch in zip(room, batches, strict=True)
        if free > 0.12 * limit + 2 * max(lengths[row] for row in batch)
    ]
    assert len(spare) <= 1


def test_an_utterance_that_no_batch_can_hold_is_an_error():
    with pytest.raises(ValueError, match="501 frames does not fit into a batch of 500"):
        LengthBucketSampler([300, 501], 1, 0, max_batch_frames=500)


def test_little_padding_by_frames():
    rng = np.random.default_rng(0)
    lengths = (rng.triangular(95, 560, 870, 13100)).astype(int)
    for processes in (1, 8):
        sampler = LengthBucketSampler(list(lengths), 1, 1, processes, max_batch_frames=16_000)
        padded = [len(batch) * max(lengths[batch]) for batch in sampler]
        real = sum(lengths[batch].sum() for batch in sampler)
        assert sum(padded) / real < 1.05
        assert max(padded) <= 16_000 and np.mean(padded) > 0.85 * 16_000
