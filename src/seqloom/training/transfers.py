"""A chart of transfer reports: a group of bars a task, a bar an encoder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.evaluation.transfer.tables import figures
from seqloom.evaluation.transfer.tasks import TASKS
from seqloom.training.canvas import COLOURS, panels, save, styled

Report = Mapping[str, Any]


def draw(reports: Sequence[Report], path: Path) -> Path:
    """Write the chart of the main figure of each task that was run, as a PNG file; of as many as there are colours.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with styled():
        from matplotlib.patches import Patch

        given, reports = len(reports), reports[: len(COLOURS)]
        names = [name for name in TASKS if any("test" in one["tasks"].get(name, {}) for one in reports)]
        handles = {one["name"]: Patch(color=colour) for one, colour in zip(reports, COLOURS, strict=False)}
        note = f"accuracy, or 100 times Pearson's correlation{'; R@1 of images' * ('Captions' in names)}"
        note += f"; the first {len(reports)} of {given} encoders" * (given > len(reports))
        figure, (axis,) = panels(
            [""], "Transfer", note, handles, max(2.4, 0.2 * len(names) * len(reports) + 0.6)
        )
        thick = 0.8 / len(reports)
        for place, (one, colour) in enumerate(zip(reports, COLOURS, strict=False)):
            values = [_main(one["tasks"].get(name, {}), name) for name in names]
            axis.barh(np.arange(len(names)) + place * thick, values, thick, color=colour)
        axis.set_yticks(np.arange(len(names)) + 0.4 - thick / 2, names)
        axis.set_ylim(len(names) - 0.1, -0.3)
        axis.grid(False, axis="y")
        return save(figure, path)


def _main(result: Mapping[str, Any], task: str) -> float:
    return next(iter(figures(result, task).values()), 0.0)
