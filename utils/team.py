"""Several processes that do one piece of work: the first leads and hands out items, the others take them.

They are started by `accelerate launch` or torchrun, on one machine or several, and speak through the key-value store
that torch.distributed starts at MASTER_ADDR:MASTER_PORT. Whoever asks next gets the next item, so that a slow machine
takes fewer. Each process shows every few seconds that it lives; one that fails or falls silent ends the others with an
error, never with a wait without end. As everywhere in torch.distributed, what travels is pickled: the network between
the machines must be trusted.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from utils.errors import UserError

if TYPE_CHECKING:
    from torch.distributed import Store

JOIN_SECONDS = 300.0  # to wait for all processes to start
BEAT_SECONDS = 5.0  # between signs of life
SILENT_SECONDS = 60.0  # without a sign of life: dead
POLL_SECONDS = 0.1  # between looks at the store
LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # by these torch and accelerate know that a launcher started them
LEAVE_SECONDS = 10.0  # that the leader, who may keep the store, stays so that the others can read its last word


class Team:
    """One process' view of the team. The leader calls `give` and `results`; the others `take` and `report`."""

    def __init__(self, store: Store, rank: int, size: int, num_workers: int) -> None:
        """Joins, and waits until all have.

        Args:
            store: the store that all share.
            rank: this process' number; 0 leads.
            size: processes in all.
            num_workers: worker processes that this one will keep busy.

        Raises:
            UserError: a process did not join.
        """
        self.rank, self.size = rank, size
        self._store = store
        self._job = -1
        self._read = [0] * size  # results of each process that the leader has, of the present job
        self._reported = 0  # results of this process, of the present job
        now = time.monotonic()
        self._beats = {other: ("", now) for other in (range(1, size) if rank == 0 else (0,))}
        self._looked = now
        self._left = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._members: list[tuple[str, int]] = []
        with self._contact():
            self._put(f"here/{rank}", (socket.gethostname(), num_workers))
            for other in range(size):
                while not store.check([f"here/{other}"]):
                    if time.monotonic() > now + JOIN_SECONDS:
                        raise UserError(f"process {other} of {size} did not start within {JOIN_SECONDS:.0f} s")
                    time.sleep(POLL_SECONDS)
                self._members.append(pickle.loads(store.get(f"here/{other}")))
        self._heart.start()

    @property
    def leads(self) -> bool:
        """Whether this is the process that hands out the work."""
        return self.rank == 0

    @property
    def num_workers(self) -> int:
        """Worker processes of all members."""
        return sum(workers for _, workers in self._members)

    def name(self, rank: int) -> str:
        """A process as an error names it."""
        return f"process {rank} of {self.size} (on {self._members[rank][0]})"

    # The leader's.

    def give(self, task: Any, items: Sequence[Any]) -> None:
        """Offers items to all. The leader itself works on them too, through `claims`.

        Args:
            task: what is to be done with them; goes to every process.
            items: each goes to one process.
        """
        self._begin_job()
        for index, item in enumerate(items):
            self._put(self._key("item", index), item)
        self._put(f"job/{self._job}", (task, len(items)))
        self._count = len(items)

    def results(self) -> list[tuple[int, int, Any]]:
        """(process, index of the item, result) of what the others have reported since the last call.

        Raises:
            UserError: another process failed, or is silent.
        """
        self.check()
        found = []
        for rank in range(1, self.size):
            while self._store.check([key := self._key(f"made/{rank}", self._read[rank])]):
                found.append((rank, *pickle.loads(self._store.get(key))))
                self._store.delete_key(key)
                self._read[rank] += 1
        return found

    # The others'.

    def take(self) -> Any | None:
        """Waits for the next task; None: the work is over.

        Raises:
            UserError: another process failed, or the leader is silent.
        """
        self._begin_job()
        with self._contact():
            while not self._store.check([f"job/{self._job}"]):
                self.check()
                time.sleep(POLL_SECONDS)
            found = pickle.loads(self._store.get(f"job/{self._job}"))
        if found is None:
            return None
        task, self._count = found
        return task

    def report(self, index: int, result: Any) -> None:
        """Sends what came of an item.

        Raises:
            UserError: the leader is gone.
        """
        with self._contact():
            self._put(self._key(f"made/{self.rank}", self._reported), (index, result))
        self._reported += 1

    # Everyone's.

    def claims(self) -> Iterator[tuple[int, Any]]:
        """Items of the present job with their index, for as long as any is left; each goes to one process."""
        while True:
            with self._contact():
                index = self._store.add(self._key("next", 0), 1) - 1
                if index >= self._count:
                    return
                key = self._key("item", index)
                item = pickle.loads(self._store.get(key))
                self._store.delete_key(key)
            yield index, item

    def check(self) -> None:
        """Looks whether the others are well.

        Raises:
            UserError: another process failed, or fell silent.
        """
        with self._contact():
            if self._store.check(["failed"]):
                rank, reason = pickle.loads(self._store.get("failed"))
                raise UserError(f"stopped, because {self.name(rank)} failed: {reason}")
            now = time.monotonic()
            if now - self._looked < BEAT_SECONDS / 2:
                return
            self._looked = now
            for rank, (seen, when) in self._beats.items():
                beat = str(self._store.add(f"beat/{rank}", 0))
                if beat != seen:
                    self._beats[rank] = beat, now
                elif now - when > SILENT_SECONDS:
                    raise UserError(
                        f"{self.name(rank)} has given no sign of life for {now - when:.0f} s: killed, out of memory, "
                        "or cut off? What is finished is kept: the same command goes on from there"
                    )

    def leave(self, error: BaseException | None) -> None:
        """Says goodbye; the leader ends the work, and stays a little so that the others learn how it ended."""
        with suppress(UserError), self._contact():
            if error is not None and not self._store.check(["failed"]):
                self._put("failed", (self.rank, str(error) or type(error).__name__))
            if self.leads:
                if error is None:
                    self._put(f"job/{self._job + 1}", None)
                deadline = time.monotonic() + LEAVE_SECONDS
                others = [f"bye/{rank}" for rank in range(1, self.size)]
                while not self._store.check(others) and time.monotonic() < deadline:
                    time.sleep(POLL_SECONDS)
            else:
                self._put(f"bye/{self.rank}", None)
        self._left.set()
        self._heart.join()

    def _begin_job(self) -> None:
        self._job += 1
        self._read, self._reported = [0] * self.size, 0

    def _put(self, key: str, value: Any) -> None:
        self._store.set(key, pickle.dumps(value))  # type: ignore[arg-type]  # the stub knows of text alone

    def _key(self, kind: str, number: int) -> str:
        return f"{self._job}/{kind}/{number}"

    def _beat(self) -> None:
        with suppress(RuntimeError):  # the store is gone: the main thread meets the same, and tells
            while True:
                self._store.add(f"beat/{self.rank}", 1)
                if self._left.wait(BEAT_SECONDS):
                    return

    @contextmanager
    def _contact(self) -> Iterator[None]:
        """Torch's errors of a store that is gone are RuntimeErrors."""
        try:
            yield
        except RuntimeError as error:
            raise UserError(
                f"process {self.rank} of {self.size} lost contact with the first one, whose own message says why "
                f"({str(error).splitlines()[0]})"
            ) from error


_current: Team | None = None


def current_team() -> Team | None:
    """The team that this process belongs to; None: it works alone."""
    return _current


@contextmanager
def join_team(num_workers: int) -> Iterator[Team | None]:
    """Joins the processes that were started with this one, for the time of a `with` block.

    Inside it each process looks like a single one to torch and accelerate: a training there, such as the aligner's,
    is the leader's alone, and must not wait for the others.

    Args:
        num_workers: worker processes that this one will keep busy.

    Yields:
        The team, or None where this is the only process (which costs no import of torch).

    Raises:
        UserError: a process did not come, or the environment is not that of a launcher.
    """
    global _current
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield None
        return
    from torch.distributed import PrefixStore, rendezvous

    try:
        # Where torchrun keeps the store itself, this joins it; else the first process starts one.
        store, rank, size = next(rendezvous("env://", timeout=timedelta(seconds=JOIN_SECONDS)))
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"the {size} processes that WORLD_SIZE asks for did not find each other ({reason}). Start all of them with "
            "`accelerate launch` or torchrun, with the same main process address and port"
        ) from None
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # torchrun keeps the store when it starts all anew
    team = Team(PrefixStore(f"team-{attempt}", store), rank, size, num_workers)
    _current = team
    launched = {name: os.environ.pop(name) for name in LAUNCHED if name in os.environ}
    try:
        yield team
    except BaseException as error:
        team.leave(error)
        raise
    else:
        team.leave(None)
    finally:
        os.environ.update(launched)
        _current = None
