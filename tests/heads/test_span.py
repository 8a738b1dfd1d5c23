import json

import pytest
import torch

import seqloom
from seqloom.data.batch import Batch, Output
from seqloom.heads.span import SpanHead

NAMES = ["Ada", "Bob", "Cleo", "Dan", "Eve", "Flo"]


def paragraph(number):
    """Who is where, and a question for each of two people."""
    first, second = NAMES[number % 6], NAMES[(number * 5 + 3) % 6]
    if first == second:
        second = NAMES[(number + 1) % 6]
    places = [f"the {colour} house" for colour in ("red", "old")][:: 1 if number % 2 else -1]
    context = f"{first}  lives in {places[0]}, {second} in {places[1]}."
    asked = [(first, places[0]), (second, places[1])]
    questions = [
        {
            "id": f"{number}-{name}",
            "question": f"Where lives {name}?",
            "answers": [{"text": place, "answer_start": context.index(place)}],
        }
        for name, place in asked
    ]
    return {"context": context, "qas": questions}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("squad") / "train.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [paragraph(number) for number in range(8)]}]}))
    return path


def config(file, reader=None, **head):
    task = {
        "reader": {"type": "squad", "train": str(file), "test": str(file), **(reader or {})},
        "embedder": {"type": "word", "size": 16},
        "encoder": {"type": "lstm", "hidden": 16, "bidirectional": True},
        "head": {"type": "span", "hidden": 16, "pieces": 4, "iterations": 2, **head},
    }
    return {
        "tasks": {"qa": task},
        "training": {"steps": 30, "batch": 16, "optimizer": {"type": "adam", "rate": 0.03}},
    }


@pytest.fixture(scope="module")
def model(file, tmp_path_factory):
    return seqloom.train(config(file), out=tmp_path_factory.mktemp("run") / "run")


def test_a_model_answers_from_a_file_and_from_raw_lines(model, file, tmp_path):
    assert model.evaluate("qa")["figures"] == {"f1": pytest.approx(100), "exact": pytest.approx(100)}
    told = [line.split("\t") for line in "".join(model.predict_file("qa", file, as_data=True)).splitlines()]
    assert [(name, text) for name, text, _ in told[:2]] == [
        ("0-Ada", "the old house"),
        ("0-Dan", "the red house"),
    ]
    assert all(0.5 < float(probability) <= 1 for _, _, probability in told)
    raw = tmp_path / "raw.tsv"
    raw.write_text("Ada  lives in the old house, Dan in the red house.\tWhere lives Ada?\n\n")
    line, blank = "".join(model.predict_file("qa", raw)).splitlines()
    assert line.split("\t")[0] == "the old house"
    assert blank == ""
    row = json.loads(next(model.predict_file("qa", raw, as_json=True)))["prediction"]
    assert (row["start"], row["end"], row["tokens"], row["text"]) == (14, 27, [3, 6], "the old house")


def test_a_model_answers_by_tokens_where_it_is_given_no_more(model):
    texts = {
        "document": ["Ada", "lives", "in", "the", "old", "house", "."],
        "question": ["Where", "lives", "Ada", "?"],
    }
    (answer,) = model.predict("qa", [texts])
    assert answer["tokens"] == [3, 6]
    assert answer["text"] is answer["start"] is None
    assert SpanHead.written(texts, answer).split("\t")[0] == "the old house"


def head(**keys):
    torch.manual_seed(1)
    return SpanHead(SpanHead.Config(hidden=4, **keys), size=4, vocabularies={})


def answer(text, score, probability=0.5):
    return {"text": text, "tokens": [0, 1] if text else None, "score": score, "probability": probability}


def gold(name, *answers):
    return {"id": name, "answers": list(answers)}


def test_of_a_questions_windows_the_best_answer_counts():
    predicted = [
        answer("", 9.0),
        answer("the red house", 1.0),
        answer("red", 3.0),
        answer("", 2.0),
        answer("", 1.0),
    ]
    wanted = [gold("a", "house", "red house")] * 3 + [gold("b")] * 2
    assert head().score(predicted, wanted) == {
        "f1": pytest.approx(100 * (2 * 1 / (1 + 2) + 1) / 2),
        "exact": pytest.approx(50),
    }


def test_answers_are_compared_by_the_rules_of_the_language():
    predicted, wanted = [answer("die Katze", 1.0)], [gold("a", "Katze")]
    assert head().score(predicted, wanted)["exact"] == 0
    assert head(language="de").score(predicted, wanted)["exact"] == 100
    assert "MLQA" in SpanHead.protocol(SpanHead.Config(hidden=4, language="de"))


START = torch.tensor([[1.0, 0.0, 2.0, -torch.inf], [0.0, 0.0, 3.0, 1.0]])
END = torch.tensor([[3.0, 2.5, 0.0, -torch.inf], [0.0, 3.0, 0.0, 1.0]])


def decoded(**keys):
    characters = torch.tensor([[*map(ord, "ab  c d")], [*map(ord, "e f ghi")]])
    offsets = torch.tensor([[[0, 2], [4, 5], [6, 7], [-1, -1]], [[0, 1], [2, 3], [4, 5], [5, 7]]])
    batch = Batch("qa", {"characters": characters, "offsets": offsets}, [0, 1])
    return head(**keys).decode(Output(None, 2, {"start": START, "end": END}), batch)


def test_the_best_ordered_span_is_told_with_its_probability():
    first, second = decoded()
    share = START[0].softmax(0)[0] * END[0].softmax(0)[0]
    assert first == {
        "text": "ab",
        "start": 0,
        "end": 2,
        "tokens": [0, 1],
        "probability": round(share.item(), 4),
        "score": 4.0,
    }
    assert (second["text"], second["tokens"], second["score"]) == ("ghi", [2, 4], 4.0)
    crossed = decoded(ordered=False)
    assert (crossed[0]["text"], crossed[0]["score"]) == ("", 5.0)
    assert (crossed[1]["text"], crossed[1]["tokens"]) == ("", [2, 2])


def test_no_answer_is_told_where_the_sentinel_is_better_than_any_span():
    """Position 0 is the sentinel, so that a row has one token less."""
    first, second = decoded(no_answer=True)
    assert (first["text"], first["start"], first["tokens"], first["score"]) == ("", None, None, 4.0)
    assert (second["text"], second["tokens"], second["score"]) == ("f g", [1, 3], 4.0)


def test_windows_without_the_answer_teach_no_answer_or_nothing(file, tmp_path):
    keys = {"window": 6, "stride": 4, "sample": {"first": 8}}
    for no_answer in (False, True):
        source = config(file, keys, no_answer=no_answer)
        source["training"] |= {"steps": 2}
        trained = seqloom.train(source, out=tmp_path / f"{no_answer}")
        told = trained.evaluate("qa", file)
        assert set(told["figures"]) == {"f1", "exact"}
        assert told["rows"] > 16
