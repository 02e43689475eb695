"""The state of a training run, so that it can be stopped and started again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from dr_kfs.whole_files import written_whole

__all__ = ["TrainingState"]


@dataclass(frozen=True, eq=False)
class TrainingState:
    """What a run consists of beside its data, and the file that keeps it."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    path: Path | None
    """None: nothing is kept."""
    generator: torch.Generator | None = None
    """Of the draws of the steps, if one serves them all."""
    settings: Mapping[str, int | float] = field(default_factory=dict)
    """What the run must be resumed with, by name."""

    def resume(self) -> int:
        """Take up what the file holds; the step to go on with, 0 without a file.

        Raises:
            ValueError: it is of a run with other settings.
        """
        if self.path is None or not self.path.is_file():
            return 0
        state = torch.load(self.path, weights_only=True, map_location="cpu")
        for name, value in self.settings.items():
            if state["settings"].get(name) != value:
                raise ValueError(
                    f"{self.path} is of a run with {name}={state['settings'].get(name)}, not {value}: "
                    "resume with what it began with, or choose another file."
                )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.generator is not None:
            self.generator.set_state(state["generator"])
        return int(state["step"])

    def save(self, step: int) -> None:
        """Keep the state before a step."""
        if self.path is None:
            return
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": step,
            "settings": dict(self.settings),
        }
        if self.generator is not None:
            state["generator"] = self.generator.get_state()
        with written_whole(self.path) as partial:
            torch.save(state, partial)
