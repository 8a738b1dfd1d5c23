"""Published checkpoints of other programs, written as model folders; nothing that such a file holds is run."""

import re
from pathlib import Path

import torch

from seqloom.config import Source
from seqloom.deploy import mlmt
from seqloom.errors import ConfigError, ModelError
from seqloom.files import replacing_folder
from seqloom.model.build import build
from seqloom.model.folder import Assembly, save
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import bind


def import_mlmt(file: Path, folder: Path) -> None:
    """Write the tagger in a checkpoint of MLMT's program (Lin et al. 2018) as a model folder, its task `target`.

    All taggers that the program's last version saves are read: trained alone or with other languages and tasks, of
    which it keeps the target alone. The model is the same but for three mends:

    - In the original, padding is the first label and can be predicted. Here it is no label: its scores and its
      transitions are left out, so where the original's best path has it, ours is the best one without.
    - In the original, a word's vector depends on the longest word of its batch, for filters also see the padding.
      Here a word stands alone: its vector is the original's where it is at least as long as the widest filter and
      four characters (the least that the original pads to), and no word of its batch is longer.
    - A path is traced from the sentence's own end. The original's may be wrong in sentences that are not the longest
      of their batch.

    As in the original, no transition is barred: `constraints: decoding` in the folder's config.yaml bars those that
    break a span. Spans are predicted as BIO, whatever scheme the labels have.

    Args:
        file: the checkpoint, `model.TIMESTAMP.mdl`.
        folder: the model folder to be, which must not be there, or be empty.

    Raises:
        ModelError: no such file, one that is damaged or of another program, or something in the folder's place.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError("is there already; name a folder that is not, or remove it", folder)
    held = _held(file)
    try:
        model = _tagger(mlmt.Checkpoint.of(held))
    except (ModelError, ConfigError) as fault:
        remedy = "give the .mdl file that MLMT's train_single, train_crosslingual or train_multi wrote"
        raise ModelError(f"cannot be read as a tagger of MLMT: {fault}; {remedy}", file) from None
    with replacing_folder(folder) as partial:
        save(partial, model)


def _tagger(checkpoint: mlmt.Checkpoint) -> Assembly:
    sizes = mlmt.Sizes.of(
        checkpoint.weights, len(checkpoint.words), len(checkpoint.characters), len(checkpoint.labels)
    )
    weights = mlmt.fitted(checkpoint, sizes)
    discover()
    source = Source(mlmt.configured(checkpoint, sizes))
    table = ModelTable.check(source)
    source.done()
    assert table is not None
    plan = lay_out(table)
    tasks, vocabularies = bind(table, plan), mlmt.vocabularies(checkpoint)
    network = build(plan, tasks, vocabularies, stores={})
    network.load_state_dict(weights)
    return Assembly(table.model_dump(), plan, tasks, vocabularies, network, {})


def _held(file: Path) -> object:
    """What torch saved in a file, if that is tensors and plain values alone."""
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError("no such file", file) from None
    except Exception as fault:  # of a damaged file, torch raises errors of all kinds
        if code := re.search(r"GLOBAL (\S+)", str(fault)):
            what = f"holds more than tensors and plain values: {code[1]}, which could be code and is not run"
        else:
            what = f"is not a whole file of torch.save ({type(fault).__name__})"
        raise ModelError(f"{what}; get another copy of the checkpoint", file) from None
