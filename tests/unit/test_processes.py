"""Which of Lightning's strategies a run takes, and what is said of the others."""

from __future__ import annotations

import pytest
from lightning.pytorch.strategies import StrategyRegistry

from cfcontra.errors import InputError
from cfcontra.train.processes import STRATEGIES, Processes


@pytest.mark.parametrize("name", sorted({*StrategyRegistry.available_strategies(), *STRATEGIES}))
def test_every_strategy_of_lightning_is_taken_or_refused_with_a_reason(name: str) -> None:
    if name in STRATEGIES:
        assert Processes(2, 1, name).strategy == name
        return
    reason = "cannot hand weights" if name.startswith("ddp") else "whole network in each process"
    with pytest.raises(InputError, match=f"--strategy {name}: .*{reason}.*Use ddp"):
        Processes(2, 1, name)


def test_a_name_that_is_none_gets_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no such strategy\. Did you mean 'ddp'"):
        Processes(2, 1, "dpp")


@pytest.mark.parametrize(("devices", "nodes"), [(0, 1), (-1, 1), (1, 0)])
def test_none_at_all_is_refused(devices: int, nodes: int) -> None:
    with pytest.raises(InputError, match="give 1 or more"):
        Processes(devices, nodes)
