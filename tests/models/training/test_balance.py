"""Several speakers: shares of an epoch, pairs of one speaker, and frames within their limit."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.batching import LengthBucketSampler

# speaker, length
UTTERANCES = st.lists(st.tuples(st.integers(0, 4), st.integers(20, 900)), min_size=8, max_size=120).filter(
    lambda rows: len({speaker for speaker, _ in rows}) > 1
)


def epoch_of(sampler: LengthBucketSampler, epoch: int, start: int = 0) -> list[list[int]]:
    sampler.set_position(epoch, start)
    return list(sampler)


@given(UTTERANCES, st.integers(1, 9), st.integers(0, 3), st.integers(0, 9))
def test_a_batch_has_two_utterances_of_each_of_its_speakers(rows, batch_size, epoch, start):
    speakers, lengths = zip(*rows, strict=True)
    sampler = LengthBucketSampler(lengths, batch_size, 7, speakers=speakers)
    batches = epoch_of(sampler, epoch)
    assert len(batches) == len(sampler)
    assert epoch_of(LengthBucketSampler(lengths, batch_size, 7, speakers=speakers), epoch, start) == batches[start:]
    for batch in batches:
        counts = Counter(speakers[row] for row in batch)
        assert len(batch) <= batch_size and (batch_size == 1 or min(counts.values()) >= 2)
        for first, second in zip(batch[::2], batch[1::2], strict=False):
            assert batch_size == 1 or speakers.count(speakers[first]) == 1 or first != second


@given(UTTERANCES, st.integers(900, 5000), st.integers(0, 3), st.integers(1, 3))
def test_no_batch_exceeds_the_limit_of_frames(rows, limit, epoch, processes):
    speakers, lengths = zip(*rows, strict=True)
    for index in range(processes):
        sampler = LengthBucketSampler(lengths, 1, 7, processes, index, max_batch_frames=limit, speakers=speakers)
        batches = epoch_of(sampler, epoch)
        assert len(batches) == len(sampler)
        assert all(len(batch) * max(lengths[row] for row in batch) <= limit for batch in batches)


def test_a_speaker_with_four_times_the_utterances_is_heard_twice_as_often():
    speakers = [0] * 400 + [1] * 100
    sampler = LengthBucketSampler([100] * 500, 10, 1, speakers=speakers)
    drawn = Counter(row for epoch in range(20) for batch in epoch_of(sampler, epoch) for row in batch)
    heard = Counter()
    for row, count in drawn.items():
        heard[speakers[row]] += count
    assert heard[0] / heard[1] == pytest.approx(2, rel=0.05)
    assert sum(drawn.values()) == 20 * 500
    rare = [drawn[row] for row in range(400, 500)]  # no utterance of a speaker is favored
    assert max(rare) - min(rare) <= 20 and np.mean(rare) == pytest.approx(33.3, rel=0.05)


def test_two_thousand_speakers_of_three_utterances():
    speakers = [row // 3 for row in range(6000)]
    lengths = np.random.default_rng(0).integers(100, 800, 6000).tolist()
    sampler = LengthBucketSampler(lengths, 16, 1, speakers=speakers)
    batches = epoch_of(sampler, 0) + epoch_of(sampler, 1)
    assert {speakers[row] for batch in batches for row in batch} == set(range(2000))
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    assert padded / sum(lengths[row] for batch in batches for row in batch) < 1.6
