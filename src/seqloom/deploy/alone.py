"""An encoder without the rest of its model: decoders, classifiers and other encoders stay behind."""

from collections.abc import Iterator
from typing import Any

from seqloom.data.vocabulary import Vocabulary
from seqloom.deploy.encode import route
from seqloom.model.folder import Assembly, assemble
from seqloom.model.plan import Plan
from seqloom.model.tables import SECTIONS
from seqloom.model.task import Task


def alone(model: Assembly, encoder: str | None = None, pool: str = "mean") -> Assembly:
    """An encoder with the embedder that it reads, as a model that only encodes.

    It cuts raw text as its task's reader did. Its names of parts and of weights are those in the whole model.

    Args:
        model: whose encoder.
        encoder: its name, where there are several; a task's name takes that task's embedder with it.
        pool: how the folder's own task pools states; who encodes may say otherwise.

    Raises:
        ModelError: several encoders and none named, or no such encoder.
    """
    task = model.tasks[route(model, encoder)]
    vocabularies = dict(_vocabularies(model, task))
    return assemble(_settings(model, task, pool), vocabularies, model.network.state_dict())


def _settings(model: Assembly, task: Task, pool: str) -> dict[str, Any]:
    """The whole model's settings without what the task's route does not use."""
    used = set(_used(model.plan, task.name))
    own = {
        section: {name: one for name, one in model.settings.get(section, {}).items() if name in used}
        for section in SECTIONS
    }
    was = model.settings["tasks"][task.name]
    reader = was["reader"] | {"train": None, "dev": None, "test": None, "sample": "all"}
    head = {"type": "encode", "text": task.texts[0], "pool": pool}
    return {"version": 1, **own, "tasks": {task.name: was | {"reader": reader, "head": head}}}


def _used(plan: Plan, task: str) -> Iterator[str]:
    """The names of the parts and stores on a task's route."""
    embedder, encoder = plan.routes[task]
    yield encoder
    for name in plan.closure(embedder):
        yield name
        yield from plan.references(name, "vectors")


def _vocabularies(model: Assembly, task: Task) -> Iterator[tuple[str, Vocabulary]]:
    """Those that the texts are looked up in, and what the task's reader learnt; not those of its labels."""
    mark = f"{task.name}."
    labels = {f"{mark}{getattr(field, 'vocabulary', '')}" for field in task.fields.values() if field.gold}
    looked_up = {index.vocabulary for index in model.plan.indexes(model.plan.routes[task.name][0])}
    for name, one in model.vocabularies.items():
        if name in looked_up or (name.startswith(mark) and name not in labels):
            yield name, one
