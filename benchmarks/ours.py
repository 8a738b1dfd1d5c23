"""A model of ours with its trainer, over the whole training file's vocabularies and some of its rows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.api import Model
from seqloom.config import source_of
from seqloom.data.schedule import Groups, nested
from seqloom.data.vectors import Vectors
from seqloom.experiment import check
from seqloom.model.build import build
from seqloom.model.folder import Assembly
from seqloom.model.plan import lay_out
from seqloom.model.task import Batcher, bind, fit
from seqloom.training.distributed import Ranks
from seqloom.training.report import Report
from seqloom.training.trainer import Course, Trainer

Choice = Callable[[Batcher, int, int], np.ndarray]


def at_random(all_rows: Batcher, batch: int, steps: int) -> np.ndarray:
    """The same rows on every call, of any length."""
    return nested(len(all_rows.columns), batch * steps, 0)


class Ours:
    """A model of one task.

    Args:
        config: its configuration; `training.batch` and `training.steps` say how many rows there are.
        folder: where records go.
        changes: to the configuration, as `training__precision="bfloat16"`.
        choice: which rows are trained on.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        changes: Mapping[str, Any],
        choice: Choice = at_random,
    ) -> None:
        table = check(source_of(config, changes))
        plan = lay_out(table)
        tasks = bind(table, plan)
        ((name, self.task),) = tasks.items()
        self.columns = self.task.columns(*self.task.table.reader.files("train"))
        self.vocabularies = fit(tasks, {name: self.columns})
        stores = {key: Vectors.open(one.path) for key, one in table.vectors.items()}
        network = build(plan, tasks, self.vocabularies, stores=stores)
        assembly = Assembly(table.model_dump(), plan, tasks, self.vocabularies, network, {})
        self.steps, batch = table.training.steps, table.training.batch
        self.rows = choice(Batcher(self.task, self.columns, self.vocabularies), batch, self.steps)
        self.train_rows = Batcher(self.task, self.columns.select(self.rows), self.vocabularies)
        self.trainer = Trainer(
            assembly,
            {name: Course(self.train_rows, Groups(self.train_rows.lengths(), batch, 0), None, batch)},
            table.training,
            seed=0,
            ranks=Ranks(),
            report=Report(folder),
            run=folder,
            data={},
        )
        self.model = Model(assembly)

    def train(self) -> None:
        """Every batch once; `fit` would also save the model, which the rivals' loops here do not."""
        self.trainer.network.train()
        for _ in range(self.steps):
            self.trainer._step()
