"""Stage 1 with its workers' part done in this process."""

from collections.abc import Iterator

import pytest

from config.schema import AudioConfig
from processors.stage1 import worker
from processors.stage1.pool import Workers


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards that were made, in order."""
    names: list[str] = []

    def in_this_process(self: Workers, plans: list, config: AudioConfig) -> Iterator[tuple]:
        monkeypatch.setattr(worker, "_extractor", worker._make_extractor(config))
        for plan in plans:
            names.append(plan.name)
            yield plan, worker.make_shard(plan)

    monkeypatch.setattr(Workers, "make", in_this_process)
    return names
