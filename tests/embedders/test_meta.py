import numpy as np
import pytest
import torch
from pydantic import ValidationError

from seqloom.api import Model
from seqloom.data.batch import Text
from seqloom.data.vectors import Vectors, convert
from seqloom.data.vocabulary import SPECIALS, Vocabulary
from seqloom.embedders.concat import Concat
from seqloom.embedders.context import Context
from seqloom.embedders.meta import Meta
from seqloom.embedders.sparse import Sparse
from seqloom.embedders.word import Word
from seqloom.errors import ConfigError, DataError
from seqloom.nn import DynamicMetaEmbedding
from tests import tiny

WORDS = Vocabulary([*SPECIALS, "crow", "moth", "lamp"])
SETS = {"birds": "crow 1 2 3\nmoth 4 5 7\n", "things": "lamp 1 2\nmoth 3 5\n"}


def stored(folder, name, **keys):
    path = folder / f"{name}.txt"
    path.write_text(SETS[name])
    config = Word.Config(vectors=name, **keys)
    return Word(config, vocabularies={"words": WORDS}, vectors=Vectors.open(path))


def mixed(folder, **keys):
    torch.manual_seed(1)
    of = [stored(folder, name) for name in SETS]
    return Meta(Meta.Config(of=list(SETS), **keys), vocabularies={"words": WORDS}, of=of).eval()


def text(*rows):
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    return Text({"words": ids}, torch.tensor([len(row) for row in rows]))


CROW, MOTH, LAMP = 2, 3, 4
ZERO = torch.tensor(0.0)


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
@pytest.mark.parametrize("attention", ["word", "context"])
def test_a_set_without_the_word_weighs_nothing(tmp_path, attention, gate):
    one = mixed(tmp_path, attention=attention, gate=gate)
    weights = one.weights(text([CROW, MOTH, LAMP, 1]))
    birds, things = weights["birds"][0], weights["things"][0]
    assert [bool(weight) for weight in birds] == [True, True, False, True]
    assert [bool(weight) for weight in things] == [False, True, True, True]
    if gate == "softmax":
        torch.testing.assert_close(birds + things, torch.ones(4))
    projected = one.mix.projections[0](torch.tensor([1.0, 2, 3]))
    torch.testing.assert_close(one(text([CROW]))[0, 0], one.weights(text([CROW]))["birds"][0, 0] * projected)


def test_a_set_without_the_word_may_be_weighed_like_any_other(tmp_path):
    weights = mixed(tmp_path, missing="weighed").weights(text([CROW, LAMP]))
    assert all((one > 0).all() for one in weights.values())


def test_without_attention_sets_are_summed_or_stand_side_by_side(tmp_path):
    summed = mixed(tmp_path, attention="none")
    assert summed.size == 2
    assert summed.weights(text([MOTH])) == {}
    parts = [
        project(torch.tensor(one))
        for project, one in zip(summed.mix.projections, ([4.0, 5, 7], [3.0, 5]), strict=True)
    ]
    torch.testing.assert_close(summed(text([MOTH]))[0, 0], parts[0] + parts[1])
    row = mixed(tmp_path, mixing="concat")(text([MOTH]))
    assert row[0, 0].tolist() == [4, 5, 7, 3, 5]
    assert mixed(tmp_path, mixing="concat", size=4)(text([MOTH])).shape == (1, 1, 8)


@pytest.mark.parametrize("attention", ["none", "word", "context"])
def test_words_that_no_set_has_may_be_dropped(tmp_path, attention):
    one = mixed(tmp_path, attention=attention, nowhere="dropped")
    reduced = one.reduced(text([1, CROW, 1, MOTH], [LAMP, 1], [1, 1]))
    assert reduced.ids["words"].tolist() == [[CROW, MOTH], [LAMP, 0], [1, 0]]
    assert reduced.lengths.tolist() == [2, 1, 1]
    found, bare = one.weights(text([1, CROW, 1, MOTH])), one.weights(text([CROW, MOTH]))
    for name, weights in found.items():
        torch.testing.assert_close(weights[0], torch.stack([ZERO, bare[name][0, 0], ZERO, bare[name][0, 1]]))
    assert mixed(tmp_path).reduced(reduced) is reduced


def test_dropped_words_change_no_prediction_and_weigh_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path / "cache"))
    config = tiny.one(tiny.write_corpus(tmp_path), steps=1, evaluate_every=1)
    (tmp_path / "one.txt").write_text("moth 1 2\nlamp 2 1\n")
    config["vectors"] = {"one": {"path": str(tmp_path / "one.txt")}}
    words = {"type": "meta", "of": ["one"], "attention": "none", "nowhere": "dropped"}
    config["embedders"] = {"words": words}
    with pytest.raises(ConfigError, match=r"nowhere: dropped does not do for task pos: Tag needs every token"):
        tiny.trained(config, tmp_path / "run")
    config["tasks"] = {"kind": tiny.task(tmp_path, "kind", ["train", "dev"])}
    tiny.trained(config, tmp_path / "run", resume=True)
    model = Model.load(tmp_path / "run")
    ours, theirs = (model.encode([one])[0] for one in ("the old moth sees a lamp", "moth lamp"))
    assert ours == pytest.approx(theirs)


def test_words_are_dropped_for_want_of_vectors_alone(tmp_path):
    of = [stored(tmp_path, "birds", dropout=0.9, drop_words=0.5)]
    sparse = Sparse(Sparse.Config(size=4, blocks=2), vocabularies={"words": WORDS})
    rows = text([CROW, MOTH, 1], [CROW])
    for sets, lengths in ((of, [2, 1]), ([*of, sparse], [3, 1])):
        config = Meta.Config(of=["a", "b"][: len(sets)], attention="none", nowhere="dropped")
        one = Meta(config, vocabularies={"words": WORDS}, of=sets).train()
        assert all(one.reduced(rows).lengths.tolist() == lengths for _ in range(9))
        assert all(part.training for part in sets)


@pytest.mark.parametrize("attention", ["word", "context"])
def test_padding_changes_nothing(tmp_path, attention):
    one = mixed(tmp_path, attention=attention)
    torch.testing.assert_close(one(text([MOTH], [CROW, LAMP, MOTH]))[0, 0], one(text([MOTH]))[0, 0])


def test_only_weights_of_the_context_depend_on_what_follows(tmp_path):
    for attention, depends in (("word", False), ("context", True)):
        one = mixed(tmp_path, attention=attention)
        short, long = one(text([MOTH, MOTH])), one(text([MOTH, MOTH, CROW]))
        assert torch.equal(short[0, 0], long[0, 0]) is not depends
        assert one.causal is not depends


def test_weights_are_told_through_a_row_of_embedders(tmp_path):
    one = mixed(tmp_path)
    row = Concat(Concat.Config(of=["a", "b"]), vocabularies={}, of=[stored(tmp_path, "birds"), one])
    assert list(row.weights(text([MOTH]))) == list(SETS)
    both = Concat(Concat.Config(of=["a", "b"]), vocabularies={}, of=[mixed(tmp_path), mixed(tmp_path)])
    assert list(both.weights(text([MOTH]))) == [*SETS, *(f"{name} 2" for name in SETS)]


def test_the_published_start_is_near_zero_in_its_biases():
    torch.manual_seed(1)
    one = DynamicMetaEmbedding([6, 4], attention="context", initial="xavier")
    assert max(value.abs().max() for name, value in one.named_parameters() if "bias" in name) <= 1e-4
    matrix = one.context.layer0.weight_hh
    torch.testing.assert_close(matrix.t() @ matrix, torch.eye(2))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"of": ["a"]}, "needs two embedders"),
        ({"of": ["a", "b"], "mixing": "concat", "attention": "word"}, "nothing is weighed"),
    ],
)
def test_what_does_not_fit_together_is_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        Meta.Config(**keys)


def test_a_set_is_called_by_its_name_its_vectors_or_its_kind(tmp_path):
    tables = [Word.Config(vectors="a"), Context.Config(of="model", vectors="a"), Word.Config(size=2)]
    of = [stored(tmp_path, "birds")] * 4
    one = Meta(Meta.Config(of=["a", *tables]), vocabularies={"words": WORDS}, of=of)
    assert one.names == ["a", "a 2", "context", "word"]


def test_layers_refuse_it_too():
    with pytest.raises(ConfigError, match="weighed against"):
        DynamicMetaEmbedding([3])
    with pytest.raises(ConfigError, match="not weighed"):
        DynamicMetaEmbedding([3, 4], mixing="concat")


def test_vectors_are_centred_and_too_few_of_them_refused(tmp_path, monkeypatch):
    table = stored(tmp_path, "birds", center=True).table.weight
    assert table[[CROW, MOTH, LAMP]].tolist() == [[-1.5, -1.5, -2], [1.5, 1.5, 2], [0, 0, 0]]
    with pytest.raises(ConfigError, match=r"66.7% of 3 words have a vector.*at least 90.0% should"):
        stored(tmp_path, "birds", coverage=0.9)
    monkeypatch.setitem(SETS, "none", "other 1 2\n")
    with pytest.raises(ConfigError, match=r"0\.0% of 3 words"):
        stored(tmp_path, "none")


def test_what_each_word_chose_is_told_beside_the_prediction(tmp_path):
    corpus = tiny.write_corpus(tmp_path)
    config = tiny.one(corpus)
    for name in ("birds", "things"):
        (tmp_path / f"{name}.txt").write_text("crow 1 2\nlamp 3 1\nmoth 2 2\n")
    config["vectors"] = {name: {"path": str(tmp_path / f"{name}.txt")} for name in ("birds", "things")}
    config["embedders"] = {"words": {"type": "meta", "of": ["birds", "things"]}}
    tiny.trained(config, tmp_path / "run")
    model = Model.load(tmp_path / "run")
    (told,) = model.explain("pos", [["the", "crow", "sees"]])
    weights = told["weights"]["text"]
    assert list(weights) == ["birds", "things"]
    assert [round(a + b, 5) for a, b in zip(*weights.values(), strict=True)] == [1, 1, 1]


@pytest.mark.parametrize("missing", [[], ["never"]])
def test_the_unknown_word_is_the_mean_of_rare_ones_also_when_none_is_missing_and_all_are_centred(missing):
    found = np.random.default_rng(1).normal(5, 1, (300, 3)).astype(np.float32)
    found[200:, 0] += 10
    words = [f"w{number}" for number in range(300)]
    vocabulary = Vocabulary([*SPECIALS, *words, *missing])
    for center in (False, True):
        config = Word.Config(vectors="v", unknown="rare", center=center)
        one = Word(config, vocabularies={"words": vocabulary}, vectors=Vectors.of(words, found, "v"))
        expected = found[200:].mean(0) - (found.mean(0) if center else 0)
        np.testing.assert_allclose(one.table.weight[1], expected, atol=1e-4)
        np.testing.assert_allclose(
            one.table.weight[302:], [expected] * len(missing) or np.zeros((0, 3)), atol=1e-4
        )


def test_a_vector_that_is_no_number_is_told_by_its_word(tmp_path):
    found = np.array([[1, 2], [np.nan, 1]], np.float32)
    vocabulary = Vocabulary([*SPECIALS, "one", "hello"])
    with pytest.raises(DataError, match='vectors v: the vector of "hello" holds what is no finite number'):
        Word(
            Word.Config(vectors="v"),
            vocabularies={"words": vocabulary},
            vectors=Vectors.of(["one", "hello"], found, "v"),
        )
    (tmp_path / "nan.vec").write_text("one 1 2\nhello nan 1\n")
    with pytest.raises(DataError, match=r'"hello" \(number 2\) holds what is no finite number'):
        convert(tmp_path / "nan.vec", tmp_path / "store")
