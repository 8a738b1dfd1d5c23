"""Published checkpoints of other programs, written as model folders; nothing that such a file holds is run."""

from pathlib import Path
from typing import Any

import torch

from seqloom.config import Source
from seqloom.data.vectors import Vectors
from seqloom.data.vocabulary import PRODUCED, SPECIALS, Vocabulary
from seqloom.deploy import cove, foreign, gensen, mlmt
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.files import replacing_folder
from seqloom.model.build import build
from seqloom.model.folder import Assembly, assemble, save, vacant
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import bind
from seqloom.progress import notice


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
    vacant(folder)
    held = foreign.read(file)
    try:
        model = _tagger(mlmt.Checkpoint.of(held))
    except (ModelError, ConfigError) as fault:
        remedy = "give the .mdl file that MLMT's train_single, train_crosslingual or train_multi wrote"
        raise ModelError(f"cannot be read as a tagger of MLMT: {fault}; {remedy}", file) from None
    with replacing_folder(folder) as partial:
        save(partial, model)


def import_cove(file: Path, folder: Path, vectors: Path | None = None) -> None:
    """Write the encoder of CoVe (McCann et al. 2017) as a model folder, for `context`, `saved` and `seqloom encode`.

    The file holds the encoder alone, so the folder's task translates into no words. Words are lower-cased, as in the
    encoder's training. Without `vectors` the folder knows no word: a context embedder over it names a store in its key
    `vectors`. Of a checkpoint of the whole translation model, the encoder alone is read.

    Args:
        file: the published weights (`wmtlstm-*.pth`), or a checkpoint of the translation model.
        folder: the model folder to be, which must not be there, or be empty.
        vectors: word vectors, all of whose lower-cased words the folder is to know.

    Raises:
        ModelError: no such file, one that is damaged or of another program, or something in the folder's place.
        DataError: the vectors cannot be read, or are of another size than the encoder reads.
    """
    vacant(folder)
    held = foreign.read(file, others=True)
    store = Vectors.open(vectors) if vectors is not None else None
    try:
        encoder = cove.MTLSTM.of(held)
    except ModelError as fault:
        raise ModelError(f"cannot be read as the encoder of CoVe: {fault}", file) from None
    if store is not None and store.size != encoder.size:
        raise DataError(f"has vectors of {store.size} numbers, the encoder reads {encoder.size}", vectors)
    with replacing_folder(folder) as partial:
        save(partial, _encoder(encoder, store, str(vectors)))


def import_gensen(prefix: Path, folder: Path, lower: bool | None = None) -> None:
    """Write a sentence encoder of GenSen (Subramanian et al. 2018) as a model folder that encodes.

    Its vectors are the original's, with the halves of `last` in our order: [forward; backward]. As there, a text is cut
    at blanks and stands between `<s>` and `</s>`. Of a model of the training program, the encoder alone is read.

    Args:
        prefix: what the names of the two files begin with, `PREFIX.model` and `PREFIX_vocab.pkl`.
        folder: the model folder to be, which must not be there, or be empty.
        lower: whether texts are read in lower case; None: if no word of the vocabulary has a capital letter, and the
            choice is told. The original leaves it to its caller.

    Raises:
        ModelError: a file is missing, damaged, of another program or another model, or holds what could be code; or
            something is in the folder's place.
    """
    vacant(folder)
    if not prefix.name:
        raise ModelError("names no files; give what PREFIX.model and PREFIX_vocab.pkl begin with", prefix)
    weights, vocabulary = (prefix.with_name(prefix.name + end) for end in (".model", "_vocab.pkl"))
    held, listed = foreign.read(weights), gensen.words(vocabulary)
    try:
        found = gensen.SentenceEncoder.of(held, listed)
    except ModelError as fault:
        raise ModelError(f"cannot be read as an encoder of GenSen: {fault}", weights) from None
    settings = found.configured(found.capital is None if lower is None else lower)
    with replacing_folder(folder) as partial:
        save(partial, assemble(settings, {"words": found.words}, found.weights))
    if lower is None:
        notice(f"{folder}: {_case(found.capital)}; `lower` in its config.yaml changes that")


def _case(capital: str | None) -> str:
    if capital is None:
        return "reads texts in lower case, for no listed word has a capital letter"
    return f'reads capital letters as they are, for the listed word "{capital}" has one'


def _encoder(encoder: cove.MTLSTM, store: Vectors | None, path: str) -> Assembly:
    known = [word for word in store.words if word == word.lower() and word not in SPECIALS] if store else []
    table = _checked(encoder.configured(path if store else None))
    plan = lay_out(table)
    tasks = bind(table, plan)
    vocabularies = {"words": Vocabulary((*SPECIALS, *known)), "translation.target": Vocabulary(PRODUCED)}
    # A word without a vector is zero there, too.
    unknown = {"embedders.words.table.weight": torch.zeros(len(SPECIALS), encoder.size)}
    weights = encoder.moved("encoders.mtlstm") | unknown
    network = build(plan, tasks, vocabularies, stores={"store": store}, weights=weights)
    head = network.head("translation")
    head.load_state_dict(cove.silent(head.state_dict()))
    return Assembly(table.model_dump(), plan, tasks, vocabularies, network, {})


def _checked(values: dict[str, Any]) -> ModelTable:
    discover()
    source = Source(values)
    table = ModelTable.check(source)
    source.done()
    assert table is not None
    return table


def _tagger(checkpoint: mlmt.Checkpoint) -> Assembly:
    sizes = mlmt.Sizes.of(
        checkpoint.weights, len(checkpoint.words), len(checkpoint.characters), len(checkpoint.labels)
    )
    weights = mlmt.fitted(checkpoint, sizes)
    table = _checked(mlmt.configured(checkpoint, sizes))
    plan = lay_out(table)
    tasks, vocabularies = bind(table, plan), mlmt.vocabularies(checkpoint)
    network = build(plan, tasks, vocabularies, stores={})
    network.load_state_dict(weights)
    return Assembly(table.model_dump(), plan, tasks, vocabularies, network, {})
