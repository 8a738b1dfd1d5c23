"""Parts out of other models: word tables that a store replaces, and every mistake told with its place."""

from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom.api import Model
from seqloom.config import source_of
from seqloom.errors import ConfigError, ModelError
from seqloom.experiment import check, missing_files
from seqloom.heads.classify import Classify
from seqloom.model.folder import load, save
from seqloom.readers import Reader
from tests import tiny
from tests.letters import TAGGER, assembled, letters
from tests.model.test_transfer import over, vectors

STORE = {"the": 1, "moth": 2, "crow": 3, "sees": 4, "grey": 5, "old": 6, "lamp": 7}


def store(path: Path, words: dict[str, int], size: int = 3) -> dict[str, Any]:
    """A section of vectors with a store whose rows tell the numbers of its words."""
    path.write_text("".join(f"{word}{f' {number}' * size}\n" for word, number in words.items()))
    return {path.stem: {"path": str(path)}}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return tiny.write_corpus(tmp_path)


@pytest.fixture
def origin(corpus: Path) -> Path:
    """A run over frozen vectors that knows few words."""
    config = tiny.one(corpus, steps=1, evaluate_every=1)
    config["vectors"] = store(corpus / "few.txt", {"moth": 2, "river": 9})
    config["embedders"] = {"words": {"type": "word", "vectors": "few", "minimum": 2}}
    config["encoders"]["shared"]["bidirectional"] = True
    tiny.trained(config, corpus / "origin")
    return corpus / "origin"


def test_a_store_makes_words_known_that_the_model_never_saw(corpus, origin, tmp_path):
    (corpus / "pos-train.txt").write_text("crow NOUN\nsees VERB\nunheard NOUN\n")
    (corpus / "pos-dev.txt").write_text("lamp NOUN\n")
    config = over(corpus, origin, input=True, vectors="many")
    config["vectors"] = store(corpus / "many.txt", STORE)
    tiny.trained(config, tmp_path / "run")
    model = load(tmp_path / "run")
    # Words of training and, where the store has them, of dev; not those that the model there knew.
    assert set(model.vocabularies["cove+words"]) == {"<pad>", "<unk>", "crow", "sees", "unheard", "lamp"}
    found = vectors(model, ["crow", "lamp", "unheard", "moth"])[0, :, :3]
    assert found.tolist() == [[3.0] * 3, [7.0] * 3, [0.0] * 3, [0.0] * 3]
    there = load(origin).network.encoders["shared"].state_dict()
    inside = model.network.embedders["cove"].inside.encoder.state_dict()
    assert all(torch.equal(there[name], inside[name]) for name in there)


@torch.no_grad()
def test_without_a_store_the_words_are_those_of_the_model_there(corpus, origin):
    model = tiny.untrained(over(corpus, origin, input=True))
    assert model.vocabularies["cove+words"] == load(origin).vocabularies["words"]
    assert vectors(model, ["moth", "crow"])[0, :, :3].tolist() == [[2.0] * 3, [0.0] * 3]


def test_how_many_words_the_model_there_knows_is_told_and_none_is_refused(corpus, origin, tmp_path, caplog):
    (corpus / "pos-train.txt").write_text("moth NOUN\nsees VERB\nunheard NOUN\n")
    tiny.trained(over(corpus, origin), tmp_path / "run")
    what = f"embedders.cove: the model of {origin} knows 2 of the 3 different words in training"
    assert f"{what}; it lacks unheard" in caplog.messages
    (corpus / "pos-train.txt").write_text("strange NOUN\n")
    with pytest.raises(
        ConfigError, match="knows 0 of the 1 different words in training; it lacks strange; name in"
    ):
        tiny.trained(over(corpus, origin), tmp_path / "other")


def test_a_model_of_lower_cased_texts_is_given_words_in_lower_case(corpus, origin, tmp_path, caplog):
    (corpus / "pos-train.txt").write_text("Moth NOUN\nsees VERB\n")
    tiny.trained(over(corpus, origin), tmp_path / "cased")
    what = f"embedders.cove: the model of {origin} knows 1 of the 2 different words in training"
    assert f"{what}; it lacks Moth; with lower: true it would know 1 more" in caplog.messages
    tiny.trained(over(corpus, origin, input=True, lower=True), tmp_path / "run")
    assert (
        f"embedders.cove: the model of {origin} knows 2 of the 2 different words in training" in caplog.messages
    )
    assert vectors(load(tmp_path / "run"), ["Moth", "moth"])[0, :, :3].tolist() == [[2.0] * 3] * 2


def test_a_store_of_another_size_is_refused(corpus, origin):
    config = over(corpus, origin, vectors="wide")
    config["vectors"] = store(corpus / "wide.txt", STORE, size=4)
    with pytest.raises(
        ConfigError, match=r"embedders\.cove\.vectors: wide has vectors of 4 numbers, .* reads 3"
    ):
        tiny.trained(config, corpus / "run")


MISTAKES = {
    "layers: there is no layer 2; the encoder of": {"layers": [0, 2]},
    'encoder: no encoder "shard"; did you mean "shared"?': {"encoder": "shard"},
    "vectors: the model there has no frozen word tables": {"vectors": "many"},
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_in_a_context_embedder_are_told_before_any_data_is_read(corpus, what):
    config = over(corpus, letters(6))
    config["embedders"]["cove"] |= MISTAKES[what]
    if "vectors" in MISTAKES[what]:
        config["vectors"] = store(corpus / "many.txt", STORE)
    with pytest.raises(ConfigError) as told:
        check(source_of(config, {}))
    assert "embedders.cove" in str(told.value)
    assert what in str(told.value)


def test_a_part_of_several_has_to_be_named(corpus, tmp_path):
    config = tiny.two(corpus, steps=1, evaluate_every=1)
    config["encoders"]["other"] = dict(config["encoders"]["shared"], hidden=5)
    config["tasks"]["kind"]["encoder"] = "other"
    tiny.trained(config, tmp_path / "run")
    for part, names, chosen in (
        ("encoder", "pos, kind, shared, other", "kind"),
        ("part", "encoders.shared, encoders.other", "encoders.other"),
    ):
        config = over(corpus, tmp_path / "run", {} if part == "part" else None)
        with pytest.raises(
            ConfigError, match=f"{part}: the model there has several encoders; name one: {names}"
        ):
            check(source_of(config, {}))
        borrowed = config["encoders"]["shared"] if part == "part" else config["embedders"]["cove"]
        borrowed[part] = chosen
        table = check(source_of(config, {}))
        described = table.encoders["shared"] if part == "part" else table.embedders["cove"]
        assert described.inside.encoder.hidden == 5


def test_an_encoder_with_several_embedders_is_named_by_a_task(corpus, tmp_path):
    config = tiny.two(corpus, steps=1, evaluate_every=1)
    config["embedders"]["others"] = {"type": "word", "size": 6, "vocabulary": "others"}
    config["tasks"]["kind"]["embedder"] = "others"
    tiny.trained(config, tmp_path / "run")

    def named(encoder: str) -> dict[str, Any]:
        config = over(corpus, tmp_path / "run")
        config["embedders"]["cove"]["encoder"] = encoder
        return config

    with pytest.raises(
        ConfigError, match=r'"shared" reads several embedders there; name a task, .*: pos, kind'
    ):
        check(source_of(named("shared"), {}))
    assert check(source_of(named("kind"), {})).embedders["cove"].inside.embedder == "others"


def test_what_is_no_model_is_told_at_once_and_what_is_missing_before_training(corpus):
    (corpus / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"embedders\.cove  .*empty: is not a model or run folder"):
        check(source_of(over(corpus, corpus / "empty"), {}))
    source = source_of(over(corpus, corpus / "none"), {})
    missing = missing_files(check(source), source)
    assert len(missing) == 1
    assert f"embedders.cove.of  {corpus / 'none'}" in missing[0]
    with pytest.raises(ConfigError, match=r"encoders\.shared\.path"):
        tiny.trained(over(corpus, corpus / "none", {}), corpus / "run")


def test_vectors_of_another_size_than_the_encoder_learnt_from_are_refused(corpus):
    with pytest.raises(ConfigError, match=r"encoders\.shared: .* reads vectors of 8 numbers, its input has 6"):
        tiny.untrained(over(corpus, letters(8), {}))


def test_an_encoder_that_learnt_from_pieces_is_told_to_know_few_words(corpus, caplog, monkeypatch):
    monkeypatch.setattr(Reader, "learned", "pieces")
    tiny.untrained(over(corpus, letters(6)))
    assert "learnt from pieces of words" in caplog.text


def test_a_model_that_changed_since_it_was_described_is_refused(corpus, tmp_path):
    table = check(source_of(over(corpus, letters(6)), {}))
    config = over(corpus, letters(8))
    config["embedders"]["cove"] = table.model_dump()["embedders"]["cove"] | {"of": str(letters(8))}
    with pytest.raises(ModelError, match="no longer the model that the key `inside` describes"):
        tiny.untrained(config)


def test_a_model_that_reads_ahead_is_barred_from_heads_that_may_not_and_one_that_does_not_is_noticed(
    corpus, caplog, monkeypatch
):
    def classifier(bidirectional: bool) -> dict[str, Any]:
        tasks = {"kind": tiny.task(corpus, "kind", ("train", "dev"))}
        return over(corpus, letters(6, bidirectional=bidirectional)) | {"tasks": tasks}

    tiny.untrained(classifier(True))
    assert not caplog.messages
    monkeypatch.setattr(Classify, "causal", True)
    tiny.untrained(classifier(False))
    assert "reads left to right, so its vectors tell nothing of what follows" in caplog.messages[0]
    with pytest.raises(ConfigError, match='embedder "cove" sees what follows'):
        tiny.untrained(classifier(True))


SPELT = {"type": "chars", "filters": {1: 3, 2: 3}, "highway": 0}
ONE_WAY = {"type": "lstm", "input": "spelt", "hidden": 6}
MIXED = {"type": "meta", "of": ["letters", {"type": "features"}], "attention": "context"}


@pytest.mark.parametrize(
    ("embedders", "encoder", "backward", "told"),
    [
        ({"letters": SPELT, "spelt": MIXED}, ONE_WAY, False, "left to right, but .* sees what follows"),
        (
            {"letters": SPELT, "m": MIXED, "spelt": {"type": "concat", "of": ["m"]}},
            ONE_WAY,
            False,
            "left to right",
        ),
        ({"letters": SPELT, "spelt": MIXED}, ONE_WAY, True, "right to left, but .* sees what comes before"),
        ({"spelt": SPELT}, ONE_WAY, False, ""),
        ({"spelt": SPELT}, ONE_WAY, True, "right to left, but .* sees what comes before; let it run"),
        ({"spelt": SPELT}, ONE_WAY | {"type": "awd", "backward": True}, True, ""),
        ({"spelt": SPELT}, ONE_WAY | {"type": "awd", "backward": True}, False, "left to right, but .* follows"),
    ],
)
def test_a_language_model_sees_nothing_of_what_it_foretells(tmp_path, embedders, encoder, backward, told):
    (tmp_path / "inner").mkdir()
    save(tmp_path / "inner", assembled(embedders, {"shared": encoder}, {"one": TAGGER}))
    (tmp_path / "text").write_text("a moth sees a lamp\n" * 9)
    reader = {"type": "lines", "train": str(tmp_path / "text")}
    config = {
        "embedders": {"cove": {"type": "context", "of": str(tmp_path / "inner")}},
        "encoders": {"stack": {"type": "awd", "input": "cove", "hidden": 4, "layers": 1, "backward": backward}},
        "tasks": {"lm": {"reader": reader, "encoder": "stack", "head": {"type": "language", "streams": 1}}},
        "training": {"device": "cpu", "steps": 1, "batch": 1, "stream": {"window": 5}},
    }
    if told:
        with pytest.raises(ConfigError, match=f"tasks.lm.head: reads {told}"):
            tiny.trained(config, tmp_path / "run")
        return
    model = Model.load(tiny.trained(config, tmp_path / "run").folder)
    with pytest.raises(ModelError, match="none can be gone on with"):
        model.predict("lm", ["a moth"])


def test_what_sees_ahead_is_told_by_its_own_name(tmp_path):
    (tmp_path / "text").write_text("a moth sees a lamp\n" * 9)
    reader = {"type": "lines", "train": str(tmp_path / "text")}
    config = {
        "embedders": {"m": MIXED, "letters": SPELT, "both": {"type": "concat", "of": ["m", "letters"]}},
        "encoders": {"stack": {"type": "awd", "input": "both", "hidden": 4, "layers": 1}},
        "tasks": {"lm": {"reader": reader, "encoder": "stack", "head": {"type": "language"}}},
        "training": {"steps": 1},
    }
    with pytest.raises(ConfigError, match='embedder "m" sees what follows; take attention: word'):
        tiny.trained(config, tmp_path / "run")


def test_a_model_that_leaves_words_out_gives_no_context_vectors(corpus, tmp_path):
    words = {"type": "meta", "of": ["letters"], "attention": "none", "nowhere": "dropped"}
    folder = tmp_path / "inner"
    folder.mkdir()
    table = {"reader": {"type": "table"}, "encoder": "shared", "head": {"type": "encode"}}
    save(folder, assembled({"letters": SPELT, "spelt": words}, {"shared": ONE_WAY}, {"one": table}))
    with pytest.raises(ConfigError, match="the model there leaves out words that no set has"):
        tiny.untrained(over(corpus, folder))
