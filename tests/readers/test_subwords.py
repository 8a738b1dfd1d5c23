import sys

import numpy as np
import pytest
import torch

from seqloom import Vectors
from seqloom.api import Model
from seqloom.data.subwords import JOINER, copied, join_pieces
from seqloom.data.vocabulary import UNKNOWN
from seqloom.deploy.expand import expand
from seqloom.errors import ConfigError, ModelError
from seqloom.nn.beam import Hypothesis
from seqloom.readers.parallel import Parallel
from tests import tiny
from tests.heads.test_translate import config


@pytest.fixture(scope="module", params=[True, False])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("subwords")
    table = config(folder)
    table["tasks"]["de"]["reader"]["subwords"] = {"size": 25 if request.param else 17, "joint": request.param}
    table["training"] |= {"steps": 2, "evaluate_every": 2}
    return tiny.trained(table, folder / "run").folder, request.param


def test_a_saved_translator_cuts_and_joins(run):
    model = Model.load(run[0])
    listed = model._assembly.vocabularies
    names = {"de.pieces"} if run[1] else {"de.source-pieces", "de.target-pieces"}
    assert {name for name in listed if "pieces" in name} == names
    (told,) = model.explain("de", ["the thamolm"])
    assert len(told["source"]) > 2
    assert any(piece in listed["words"] for piece in told["source"][1:])
    assert JOINER not in "".join(model.predict("de", ["the thamolm"])[0])
    batch = model.task("de").read("dev")
    assert any(form.endswith(JOINER) for form in batch["target"].forms)
    assert model.task("de").head.gold({"target": batch["target"].row(1)})[:2] == ["ein", "Leuchte"]
    assert model.evaluate("de", split="dev")["figures"]["bleu"] >= 0


def test_a_folder_without_its_pieces_is_refused(run):
    path = next((run[0] / "best" / "vocabulary").glob("de.*pieces.txt"))
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(ModelError, match="pieces"):
        Model.load(run[0])
    path.write_bytes(kept)


def test_a_resumed_run_goes_on_with_the_pieces_it_learnt(tmp_path, monkeypatch):
    table = config(tmp_path)
    table["tasks"]["de"]["reader"]["subwords"] = {"size": 25}
    table["training"] |= {"steps": 2, "evaluate_every": 1}
    tiny.trained(table, tmp_path / "resumed")
    table["training"]["steps"] = 4
    tiny.trained(table, tmp_path / "whole")
    monkeypatch.setattr(Parallel, "learn", None)
    tiny.trained(table, tmp_path / "resumed", resume=True)
    weights = [(tmp_path / run / "last" / "weights.safetensors").read_bytes() for run in ("whole", "resumed")]
    assert weights[0] == weights[1]


def test_a_run_that_begins_with_a_translator_cuts_as_that_does(tmp_path):
    table = config(tmp_path)
    table["tasks"]["de"]["reader"]["subwords"] = {"size": 25}
    table["training"] |= {"steps": 2, "evaluate_every": 1}
    first = Model.load(tiny.trained(table, tmp_path / "first").folder)._assembly.vocabularies
    for path in tmp_path.glob("train.*"):
        path.write_text(path.read_text().replace("a", "o").replace("e", "u"))
    table["training"]["begin"] = {"path": str(tmp_path / "first")}
    second = Model.load(tiny.trained(table, tmp_path / "second").folder)._assembly.vocabularies
    assert {name: list(one) for name, one in first.items()} == {name: list(one) for name, one in second.items()}
    table["training"]["begin"]["parts"] = ["embedders.*", "encoders.*"]
    third = Model.load(tiny.trained(table, tmp_path / "parts").folder)._assembly.vocabularies
    assert list(third["de.pieces"]) == list(first["de.pieces"])
    for subwords in (None, {"size": 25, "joint": False}):
        table["tasks"]["de"]["reader"]["subwords"] = subwords
        with pytest.raises(
            ConfigError, match=r"training\.begin: task de of .* cuts words into pieces, here they are"
        ):
            tiny.trained(table, tmp_path / "other")
    table["tasks"]["de"]["reader"]["subwords"] = {"size": 25}
    del table["training"]["begin"]
    fresh = Model.load(tiny.trained(table, tmp_path / "third").folder)._assembly.vocabularies
    assert list(fresh["de.pieces"]) != list(first["de.pieces"])


def test_without_tokenizers_training_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    table = config(tmp_path)
    table["tasks"]["de"]["reader"]["subwords"] = {"size": 25}
    with pytest.raises(ConfigError, match=r"seqloom\[text\]"):
        tiny.trained(table, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_columns_of_words_are_kept_whatever_they_will_be_cut_into():
    assert Parallel.Config(subwords={"size": 25}).content() == Parallel.Config().content()


def test_the_pieces_that_looked_are_told(run):
    model = Model.load(run[0])
    head = model._assembly.network.head("de")
    pieces = [head.target[number] for number in range(4, len(head.target))]
    inner = next(number for number, piece in enumerate(pieces, 4) if piece.endswith(JOINER))
    last = next(number for number, piece in enumerate(pieces, 4) if not piece.endswith(JOINER))
    told = head._told(Hypothesis([inner, last], 0.0, True, torch.ones(2, 3)), ["a", "b", "c"])
    assert told["pieces"] == [head.target[inner], head.target[last]]
    assert told["words"] == [told["pieces"][0][:-1] + told["pieces"][1]]
    assert len(told["attention"]) == 2


@pytest.mark.parametrize(
    ("written", "looked", "words"),
    [
        (f"in {UNKNOWN} Haus", [0, 1, 3], ["in", "Xylophon", "Haus"]),
        (f"in {UNKNOWN} {UNKNOWN} Haus", [0, 1, 2, 3], ["in", "Xylophon", "Haus"]),
        (f"{UNKNOWN} {UNKNOWN}", [3, 3], ["house", "house"]),
        (f"klein~ {UNKNOWN} Haus", [0, 2, 3], ["kleinphon", "Haus"]),
        (f"klein~ {UNKNOWN} Haus", [0, 1, 3], ["kleinXylo", "Haus"]),
    ],
)
def test_an_unknown_word_gives_way_to_a_whole_word_of_the_source(written, looked, words):
    source = ["in", f"Xylo{JOINER}", "phon", "house"]
    assert join_pieces(copied(written.replace("~", JOINER).split(), looked, source)) == words


def test_no_words_are_added_where_words_are_cut(run, tmp_path):
    vectors = Vectors.of(["the", "zeppelin"], np.eye(2, dtype=np.float32), "store")
    with pytest.raises(ModelError, match="task de cuts words into pieces"):
        expand(Model.load(run[0])._assembly, vectors)
