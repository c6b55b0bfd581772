"""Processes that share work, here threads with a store in memory: complete, once each, and no wait without end."""

import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from torch.distributed import HashStore

from utils import team as team_module
from utils.errors import UserError
from utils.team import Team, current_team, join_team


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a busy machine may need long for keeps its time."""
    for name, seconds in (("BEAT", 0.05), ("POLL", 0.01), ("LEAVE", 0.3)):
        monkeypatch.setattr(team_module, f"{name}_SECONDS", seconds)


def run(size: int, roles: Callable[[Team], object]) -> list[object]:
    """What each process' role returned, or the error that ended it."""
    store, outcomes = HashStore(), [None] * size

    def process(rank: int) -> None:
        team = Team(store, rank, size, num_workers=rank + 1)
        try:
            outcomes[rank] = roles(team)
        except Exception as error:
            outcomes[rank] = error
            team.leave(error)
        else:
            team.leave(None)

    threads = [threading.Thread(target=process, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    return outcomes


def double(team: Team) -> object:
    """The leader gives two jobs and collects; the others say how many items they did."""
    if not team.leads:
        count = 0
        while (factor := team.take()) is not None:
            for index, item in team.claims():
                time.sleep(0.001)
                team.report(index, factor * item)
                count += 1
        return count
    found = []
    for factor in (2, 3):
        items = list(range(40))
        team.give(factor, items)
        results = {index: factor * item for _, (index, item) in zip(range(5), team.claims(), strict=False)}
        while len(results) < len(items):
            for _, index, result in team.results():
                assert index not in results
                results[index] = result
        found.append([results[index] for index in range(len(items))])
    return found


def test_every_item_is_done_once() -> None:
    doubled, *counts = run(4, double)
    assert doubled == [[2 * i for i in range(40)], [3 * i for i in range(40)]]
    assert sum(counts) == 2 * 35


def test_all_workers_are_counted() -> None:
    assert run(3, lambda team: team.num_workers) == [6, 6, 6]


@pytest.mark.parametrize("failing", [0, 2])
def test_a_failure_ends_all_with_its_message(failing: int) -> None:
    def role(team: Team) -> None:
        if team.rank == failing:
            raise UserError("the disk is full")
        if team.leads:
            team.give("task", [])
            while True:
                team.results()
        while team.take() is not None:
            assert list(team.claims()) == []

    for rank, error in enumerate(run(3, role)):
        expected = "the disk is full" if rank == failing else f"process {failing} of 3 .*failed: the disk is full"
        assert isinstance(error, UserError) and re.search(expected, str(error))


@pytest.mark.parametrize("silent", [0, 1])
def test_a_process_without_a_sign_of_life_ends_the_others(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_module, "SILENT_SECONDS", 0.5)
    beat = Team._beat
    monkeypatch.setattr(Team, "_beat", lambda team: None if team.rank == silent else beat(team))

    ended = threading.Event()

    def role(team: Team) -> None:
        if team.rank == silent:
            assert ended.wait(30)
            return
        try:
            while team.leads:
                team.results()
            team.take()
        finally:
            ended.set()

    outcomes = run(2, role)
    assert outcomes[silent] is None
    assert f"process {silent} of 2" in str(outcomes[1 - silent]) and "no sign of life" in str(outcomes[1 - silent])


def test_a_process_that_never_starts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_module, "JOIN_SECONDS", 0.2)
    with pytest.raises(UserError, match="process 1 of 2 did not start"):
        Team(HashStore(), 0, 2, 1)


def test_alone_there_is_no_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with join_team(1) as team:
        assert team is None and current_team() is None


def test_inside_a_process_looks_like_a_single_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the aligner's training, which the leader does alone, would wait for the others."""
    monkeypatch.setattr("torch.distributed.rendezvous", lambda *_, **__: iter([(HashStore(), 0, 1)]))
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    with join_team(1) as team:
        assert current_team() is team is not None
        assert not {"WORLD_SIZE", "RANK", "LOCAL_RANK"} & os.environ.keys()
    assert os.environ["WORLD_SIZE"] == "2" and current_team() is None


def test_without_a_launcher_the_error_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack, pytest.raises(UserError, match="2 processes .*RANK.*accelerate launch"):
        stack.enter_context(join_team(1))
