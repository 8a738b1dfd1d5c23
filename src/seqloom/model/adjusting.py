"""Settings of a head that say how a trained model is used, changed for a while."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from seqloom.config import Source, checked, override, unknown
from seqloom.errors import ConfigError
from seqloom.model.folder import Assembly


def adjust(model: Assembly, task: str, settings: Sequence[str]) -> None:
    """Change keys of a task's head, such as `sampling.temperature=0.7`; the model's folder stays as it is.

    Raises:
        ConfigError: a key that no longer can be changed once a model is trained, or a wrong value.
    """
    if not settings:
        return
    mine, head = model.tasks[task], model.network.head(task)
    for setting in settings:
        key = setting.partition("=")[0].partition(".")[0]
        if key not in mine.head.adjustable:
            free = ", ".join(sorted(mine.head.adjustable)) or "nothing"
            what = unknown("key", key, mine.head.adjustable) if mine.head.adjustable else f'unknown key "{key}"'
            raise ConfigError(
                f"--set {setting}: {what}; of a trained head {mine.head.kind}, {free} can be changed"
            )
    source = Source(mine.table.head.model_dump())
    override(source, settings)
    source.done()
    table: Any = checked(type(mine.table.head), source)
    if table is None:
        told = "; ".join(f"{one.path} {one.what}" for one in source.faults)
        raise ConfigError(f"--set {' '.join(settings)}: {told}")
    head.config = table
    model.tasks[task] = replace(mine, table=mine.table.model_copy(update={"head": table}))
