"""What every registered part keeps to; a new part is held to it the moment it exists."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from torch import Tensor

from seqloom.config import Choice, DataPath, Source, choice, field_choice, kinds
from seqloom.data.batch import Batch, Output
from seqloom.errors import ConfigError
from seqloom.files import replacing_folder
from seqloom.model.build import build
from seqloom.model.folder import Assembly, load, save
from seqloom.model.network import Network
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import Batcher, Task, bind, fit
from seqloom.model.transfer import carried, inlined
from tests.letters import letters

discover()
FAMILIES = ("embedders", "encoders", "heads")
LEARNING = {one: [kind for kind in kinds(one) if kind != "encode"] for one in FAMILIES}
"""The kinds to try; the head `encode` learns nothing and has a test of its own."""
PLAIN = {"embedders": "word", "encoders": "lstm", "heads": "tag"}
"""What a part is tried with."""
LENGTHS = (5, 1, 3, 8, 2, 5)
"""Of the texts of the made-up rows."""
NUMBER = 16
"""For every key that needs a number."""

SPARSE = [{"mode": mode, "fraction": 0.75} for mode in ("sparse_hidden", "sparse_emb", "sparse_all")]
TOGETHER: dict[str, list[dict[str, Any]]] = {
    "heads.translate": [
        {"context": "final", "cell": "gru"},
        {"context": "final", "cell": "gru", "bridge": "copy"},
    ],
    "encoders.awd": SPARSE,
    "encoders.sparse": [{"mode": "direct", "fraction": 1.0}, *({"layers": 2} | keys for keys in SPARSE)],
}
"""By family and kind, keys that are tried together; a switch of which one value needs them is not tried alone."""

NEARLY = 0.5
"""Percent: a wrong label among those of the made-up rows costs more; a correlation comes as near to 100."""

Configuration = dict[str, Any]


def plain(family: str, kind: str) -> Configuration:
    """The table of a kind; what has no default is made up from its type, and a path leads to a saved model."""
    config, table = kinds(family)[kind].Config, {"type": kind}
    for key, info in config.model_fields.items():
        if info.is_required() and any(isinstance(one, DataPath) for one in info.metadata):
            table[key] = str(letters(NUMBER))
        elif info.is_required() or (key == "size" and info.default is None):
            table[key] = made_up(field_choice(config, key), info.annotation, f"{family} {kind}: {key}")
    return table


def made_up(ruling: Choice | None, annotation: Any, place: str) -> Any:
    if get_origin(annotation) is list:
        return [made_up(ruling or choice(annotation), get_args(annotation)[0], place)] * 2
    if ruling is not None and ruling.inline:
        return plain(ruling.family, PLAIN[ruling.family])
    assert holds(annotation, int), f"{place} needs a default, or a value made up here"
    return NUMBER


def holds(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(holds(inner, wanted) for inner in get_args(annotation))


def variants(family: str, kind: str) -> Iterator[Configuration]:
    """The plain table of a kind, and one for every other value of each of its switches."""
    yield plain(family, kind)
    for key, info in kinds(family)[kind].Config.model_fields.items():
        for other in switches(info.annotation):
            if other != info.default and key != "type" and not goes_with(family, kind, key, other):
                yield plain(family, kind) | {key: other}
    for keys in TOGETHER.get(f"{family}.{kind}", []):
        yield plain(family, kind) | keys


def goes_with(family: str, kind: str, key: str, value: Any) -> bool:
    """Whether a value needs other keys, or another head."""
    together = {
        ("translate", "cell", "gru"),
        ("meta", "nowhere", "dropped"),
        ("tag", "constraints", "training"),
    }
    of_stores = kind == "word" and key in {"loosest", "unknown", "center"}
    return (kind, key, value) in together or of_stores or (family == "encoders" and key == "mode")


def switches(annotation: Any) -> list[Any]:
    """The values of a switch, in or out of an Optional; none where a key is not one."""
    if annotation is bool:
        return [False, True]
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [value for inner in get_args(annotation) for value in switches(inner)]


def routes(tables: Any, families: Sequence[str] = FAMILIES) -> Any:
    """Every part with plain others, as the `parts` of a test: `tables` says which tables of a kind."""
    found = []
    for family in families:
        for kind in LEARNING[family]:
            for table in tables(family, kind):
                parts = {other: plain(other, PLAIN[other]) for other in FAMILIES} | {family: table}
                told = [
                    f"{key}={value}" for key, value in table.items() if plain(family, kind).get(key) != value
                ]
                found.append(pytest.param(parts, id="-".join([kind, *told])))
    return pytest.mark.parametrize("parts", found)


EVERY_VARIANT = routes(variants)
EVERY_ENCODER = routes(variants, ["encoders"])
EVERY_HEAD = routes(variants, ["heads"])
EVERY_KIND = routes(lambda family, kind: [plain(family, kind)])


@dataclass
class Made:
    """A model of one task on made-up rows."""

    model: Assembly
    examples: list[dict[str, Any]]
    batcher: Batcher

    @property
    def task(self) -> Task:
        return self.model.tasks["one"]

    @property
    def network(self) -> Network:
        return self.model.network

    def batch(self, *rows: int) -> Batch:
        return self.batcher.batch(np.array(rows or range(len(LENGTHS))))

    def run(self, *rows: int) -> Output:
        """The output in evaluation."""
        with torch.no_grad():
            return self.network.eval()(self.batch(*rows))

    def decoded(self, *rows: int) -> list[Any]:
        return self.network.head("one").decode(self.run(*rows), self.batch(*rows))

    @property
    def gold(self) -> list[Any]:
        return [self.batcher.gold(row) for row in range(len(LENGTHS))]


def made(parts: Mapping[str, Configuration], known: Sequence[int] = range(len(LENGTHS))) -> Made:
    """A model whose vocabularies hold what is in the rows `known`."""
    task = {"reader": {"type": "conll"}, "encoder": parts["encoders"], "head": parts["heads"]}
    source = Source({"tasks": {"one": task | {"embedder": parts["embedders"]}}})
    table = ModelTable.check(source)
    source.done()
    table = inlined(table, source)
    source.done()
    plan = lay_out(table)
    tasks = bind(table, plan)
    random, fields = Random(7), tasks["one"].fields
    examples = [{name: field.sample(random, length) for name, field in fields.items()} for length in LENGTHS]
    columns = tasks["one"].from_examples(examples)
    others = carried(plan)
    vocabularies = fit(tasks, {"one": columns.select(np.array(known))}, others.vocabularies)
    try:
        network = build(plan, tasks, vocabularies, stores={}, weights=others.weights, seed=3)
    except ConfigError as fault:
        if tasks["one"].head.causal:
            pytest.skip("the head reads left to right, and the encoder does not")
        if "reads vectors of" in str(fault):
            pytest.skip("the saved encoder reads longer or shorter vectors")
        raise
    model = Assembly(table.model_dump(), plan, tasks, vocabularies, network, {})
    return Made(model, examples, Batcher(tasks["one"], columns, vocabularies))


def pairs() -> Iterator[tuple[str, str, str]]:
    """Kinds of the three families, so that every two of different families come together.

    Each embedder and head meet by two encoders in turn, for one may not suit them; a head that reads left to right,
    which most encoders do not, by all.
    """
    embedders, encoders, heads = LEARNING.values()
    for row, embedder in enumerate(embedders):
        for column, head in enumerate(heads):
            turned = np.roll(encoders, row + column).tolist()
            for encoder in turned if kinds("heads")[head].causal else turned[:2]:
                yield embedder, encoder, head


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(
            {family: plain(family, kind) for family, kind in zip(FAMILIES, chosen, strict=True)},
            id="-".join(chosen),
        )
        for chosen in pairs()
    ],
)
def test_parts_of_any_two_kinds_make_a_model_that_learns_in_every_parameter(parts):
    one = made(parts)
    output = one.network.train()(one.batch())
    assert output.loss.shape == ()
    assert output.count > 0
    output.loss.backward()
    learnt = {name: each.grad for name, each in one.network.named_parameters() if each.requires_grad}
    assert [name for name, gradient in learnt.items() if gradient is None or not gradient.any()] == []


def tensors(scores: Any) -> list[Tensor]:
    """What is in the scores of a head, whatever form they have."""
    if isinstance(scores, Tensor):
        return [scores]
    if isinstance(scores, Mapping):
        scores = list(scores.values())
    return [inner for one in scores for inner in tensors(one)] if isinstance(scores, list | tuple) else []


def alike(one: Any, other: Any) -> bool:
    """Whether two predictions are equal, numbers up to rounding."""
    if isinstance(one, float):
        return one == pytest.approx(other, abs=1e-4)
    if isinstance(one, Mapping):
        return alike([*one, *one.values()], [*other, *other.values()])
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other


@EVERY_VARIANT
def test_padding_changes_nothing(parts):
    one = made(parts)
    together, decoded = one.run(), one.decoded()
    for row in range(len(LENGTHS)):
        assert alike(one.decoded(row), [decoded[row]])
        for whole, alone in zip(tensors(together.scores), tensors(one.run(row).scores), strict=True):
            cut = whole[row][tuple(slice(size) for size in alone.shape[1:])]
            assert torch.allclose(cut, alone[0], atol=1e-5, rtol=0)


@EVERY_VARIANT
def test_the_loss_of_a_batch_is_the_sum_of_its_rows(parts):
    one = made(parts)
    if getattr(one.network.head("one"), "couples_rows", False):
        pytest.skip("its rows take part in each other's loss")
    together, alone = one.run(), [one.run(row) for row in range(len(LENGTHS))]
    assert torch.allclose(together.loss, sum(each.loss for each in alone), atol=1e-4)
    assert together.count == sum(each.count for each in alone)


@EVERY_VARIANT
def test_what_is_saved_is_loaded(parts, tmp_path):
    one = made(parts)
    with replacing_folder(tmp_path / "model") as folder:
        save(folder, one.model)
    loaded = load(tmp_path / "model")
    again = Made(loaded, one.examples, Batcher(loaded.tasks["one"], one.batcher.columns, loaded.vocabularies))
    assert loaded.vocabularies == one.model.vocabularies
    assert again.task.table == one.task.table
    assert torch.equal(again.run().loss, one.run().loss)
    assert again.decoded() == one.decoded()
    for ours, theirs in zip(tensors(again.run().scores), tensors(one.run().scores), strict=True):
        assert torch.equal(ours, theirs)


@EVERY_KIND
def test_a_batch_is_learnt_by_heart(parts):
    one = made(parts)
    adam = torch.optim.Adam(one.network.parameters(), 0.02)
    for _ in range(12):
        for _ in range(10):
            adam.zero_grad()
            one.network.train()(one.batch()).loss.backward()
            adam.step()
        head = one.network.head("one")
        figures = {
            name: value
            for name, value in head.score(one.decoded(), one.gold).items()
            if name not in head.falling
        }
        if figures == (perfect := dict.fromkeys(figures, pytest.approx(100, abs=NEARLY))):
            break
    assert figures == perfect


@EVERY_HEAD
def test_predictions_need_no_gold_and_fit_the_score(parts):
    one = made(parts)
    head, rows = one.network.head("one"), np.arange(len(LENGTHS))
    blind = Batcher(one.task, one.batcher.columns, one.model.vocabularies, gold=False).batch(rows)
    with torch.no_grad():
        output = one.network.eval()(blind)
    assert output.loss is None
    predicted = head.decode(output, blind)
    assert predicted == one.decoded()
    seen = one.run()
    measured = head.measured({"loss": float(seen.loss), **seen.sums}, seen.count)
    assert (*head.score(predicted, one.gold), *measured) == one.task.figures
    assert bool(measured) == head.measures
    for example, each in zip(one.examples, predicted, strict=True):
        assert head.written(example, each).endswith("\n")


@EVERY_HEAD
def test_labels_that_training_never_showed_count_for_nothing_but_in_the_score(parts):
    one = made(parts, known=[1])
    output, seen = one.run(), one.run(1)
    assert torch.isfinite(output.loss)
    assert 0 < seen.count <= output.count
    one.network.head("one").score(one.decoded(), one.gold)


def encoder(parts: Mapping[str, Configuration]) -> tuple[Any, Tensor, Tensor]:
    """An encoder, and vectors of texts of its size."""
    torch.manual_seed(5)
    network = made(parts).network.eval()
    return network.encoders["one"], torch.randn(3, 7, network.embedders["one"].size), torch.tensor([7, 4, 1])


@EVERY_ENCODER
def test_states_end_with_their_text(parts):
    encode, x, lengths = encoder(parts)
    found = encode(x, lengths)
    assert found.states.shape == found.raw.shape == (3, 7, encode.size)
    assert found.final.shape == (3, encode.size)
    assert all(not found.states[row, length:].any() for row, length in enumerate(lengths))
    assert torch.equal(found.lengths, lengths)


@EVERY_ENCODER
def test_an_encoder_says_truly_whether_it_sees_what_follows(parts):
    encode, x, lengths = encoder(parts)
    other = x.clone()
    other[0, -1] += 1
    before, after = encode(x, lengths).states[0], encode(other, lengths).states[0]
    assert not torch.equal(before[-1], after[-1])
    assert torch.equal(before[:-1], after[:-1]) == encode.causal


@EVERY_ENCODER
def test_the_state_carries_a_text_on(parts):
    encode, x, _ = encoder(parts)
    if not encode.causal:
        pytest.skip("it reads no text in pieces")
    whole = encode(x, torch.tensor([7, 7, 7]))
    first = encode(x[:, :4], torch.tensor([4, 4, 4]))
    rest = encode(x[:, 4:], torch.tensor([3, 3, 3]), first.state)
    assert torch.allclose(torch.cat([first.states, rest.states], 1), whole.states, atol=1e-5)
    assert torch.allclose(rest.final, whole.final, atol=1e-5)
