"""Writers that hand a run's events to experiment trackers."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqloom.errors import ConfigError


class TensorBoardWriter:
    """Hand a run's events to TensorBoard, under `folder`; needs the extra `track`.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError('TensorBoard is not installed: pip install "seqloom[track]"') from None
        self._make = SummaryWriter
        self._folder = str(folder)
        self._writer: Any = None

    def write(self, event: Mapping[str, Any]) -> None:
        """Write the event's numbers as scalars; those past the step that a run resumes at are purged."""
        if self._writer is None:
            purged = event["resumed"] + 1 if event.get("resumed") else None
            self._writer = self._make(self._folder, purge_step=purged)
        if event["event"] == "notice":
            self._writer.add_text("notice", event["text"], event["step"], event["time"])
        for name, value in _scalars(event).items():
            number = math.nan if value is None else value
            self._writer.add_scalar(name, number, event["step"], event["time"])

    def close(self) -> None:
        """Write out what is pending."""
        if self._writer is not None:
            self._writer.close()


def _scalars(event: Mapping[str, Any]) -> dict[str, float | None]:
    if event["event"] == "train":
        losses = {f"loss/{task}": of["loss"] for task, of in event["tasks"].items()}
        return {**losses, "rate": event["rate"], "tokens_per_second": event["tokens_per_second"]}
    if event["event"] == "evaluate":
        tasks = event["figures"].items()
        return {f"{event['split']}/{task}.{name}": value for task, of in tasks for name, value in of.items()}
    return {}
