import json

import pytest
import torch

import seqloom
from seqloom.data.batch import Batch, Encoded, Output
from seqloom.deploy.predict import predicted
from seqloom.errors import DataError
from seqloom.heads.span import Span

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


def config(file):
    task = {
        "reader": {"type": "squad", "train": str(file), "test": str(file)},
        "embedder": {"type": "word", "size": 16},
        "encoder": {"type": "lstm", "hidden": 16, "bidirectional": True},
        "head": {"type": "span", "hidden": 16, "pieces": 4, "iterations": 2},
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
    row = json.loads(next(model.predict_file("qa", file, as_data=True, as_json=True)))
    assert row["prediction"]["id"] == "0-Ada"
    line, blank = "".join(model.predict_file("qa", raw)).splitlines()
    assert line.split("\t")[0] == "the old house"
    assert blank == ""
    row = json.loads(next(model.predict_file("qa", raw, as_json=True)))["prediction"]
    assert (row["start"], row["end"], row["tokens"], row["text"]) == (14, 27, [3, 6], "the old house")


def test_raw_texts_by_name_are_answered_with_their_place(model):
    document = "Ada  lives in the old house, Dan in the red house."
    (answer,) = model.predict("qa", [{"question": "Where lives Ada?", "document": document}])
    assert (answer["start"], answer["end"], answer["text"]) == (14, 27, "the old house")


def test_windows_of_a_question_are_written_as_one_answer_that_which_is_scored(file, tmp_path):
    asked = config(file)
    asked["tasks"]["qa"]["reader"] |= {"window": 6, "stride": 3}
    asked["training"]["steps"] = 2
    model = seqloom.train(asked, out=tmp_path / "run")
    examples = list(model.task("qa").reader.read(str(file)))
    answers = predicted(model._assembly, model.task("qa"), examples)
    written = [json.loads(one) for one in model.predict_file("qa", file, as_data=True, as_json=True)]
    names = list(dict.fromkeys(one["id"] for one in examples))
    assert [one["prediction"]["id"] for one in written] == names
    assert len(names) < len(examples)
    for name, one in zip(names, written, strict=True):
        best = max((answer for answer in answers if answer["id"] == name), key=lambda answer: answer["score"])
        assert one["prediction"] == best
    right = {
        question["id"]: question["answers"][0]["text"]
        for number in range(8)
        for question in paragraph(number)["qas"]
    }
    exact = sum(one["prediction"]["text"] == right[one["prediction"]["id"]] for one in written)
    assert 100 * exact / len(names) == pytest.approx(model.evaluate("qa")["figures"]["exact"])


def test_raw_documents_are_read_by_windows_as_files_are(file, tmp_path):
    asked = config(file)
    asked["tasks"]["qa"]["reader"] |= {"window": 6, "stride": 3}
    asked["training"]["steps"] = 2
    model = seqloom.train(asked, out=tmp_path / "run")
    rows = map(paragraph, range(8))
    raw = [
        {"document": row["context"], "question": question["question"]}
        for row in rows
        for question in row["qas"]
    ]
    from_file = [json.loads(one) for one in model.predict_file("qa", file, as_data=True, as_json=True)]
    cut = [{name: model.task("qa").reader.tokens(text) for name, text in one.items()} for one in raw]
    for one, document in zip(model.predict("qa", cut), (one["document"] for one in cut), strict=True):
        first, after = one["tokens"]
        assert 0 <= first < after <= len(document)
    for one, row in zip(model.predict("qa", raw), raw, strict=True):
        tokens = model.task("qa").reader.tokens(row["document"])[slice(*one["tokens"])]
        assert "".join(tokens) == one["text"].replace(" ", "")
    wanted = [{key: one["prediction"][key] for key in ("start", "end", "text")} for one in from_file]
    assert [{key: one[key] for key in ("start", "end", "text")} for one in model.predict("qa", raw)] == wanted
    explained = model.explain("qa", raw)
    assert {len(one["document"]) for one in explained} <= set(range(1, 7))


def test_a_model_answers_by_tokens_where_it_is_given_no_more(model):
    texts = {
        "document": ["Ada", "lives", "in", "the", "old", "house", "."],
        "question": ["Where", "lives", "Ada", "?"],
    }
    (answer,) = model.predict("qa", [texts])
    assert answer["tokens"] == [3, 6]
    assert answer["text"] is answer["start"] is None
    assert Span.written(texts, answer).split("\t")[0] == "the old house"


def head(**keys):
    torch.manual_seed(1)
    return Span(Span.Config(hidden=4, **keys), size=4, vocabularies={})


def answer(name, text, score):
    return {"id": name, "text": text, "tokens": [0, 1] if text else None, "score": score}


def test_of_a_questions_windows_the_best_answer_counts():
    windows = [("", 9.0), ("the red house", 1.0), ("red", 3.0)]
    predicted = [*(answer("a", *one) for one in windows), answer("b", "", 2.0), answer("b", "", 1.0)]
    wanted = [["house", "red house"]] * 3 + [[], []]
    assert head().score(predicted, wanted) == {
        "f1": pytest.approx(100 * (2 * 1 / (1 + 2) + 1) / 2),
        "exact": pytest.approx(50),
    }


def test_questions_of_two_files_may_have_one_id():
    predicted = [
        answer("a", "house", 1.0),
        answer("b", "x", 1.0),
        answer("a", "wrong", 5.0),
        answer("b", "x", 1.0),
    ]
    assert head().score(predicted, [["house"], ["x"], ["Haus"], ["x"]])["exact"] == 75


def test_answers_are_compared_by_the_rules_of_the_language():
    predicted, wanted = [answer("a", "die Katze", 1.0)], [["Katze"]]
    assert head().score(predicted, wanted)["exact"] == 0
    assert head(language="de").score(predicted, wanted)["exact"] == 100
    assert "MLQA" in Span.protocol(Span.Config(hidden=4, language="de"))


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


def run(one, gold, rows=(0, 1)):
    """The output of made-up texts of two rows, the same at every call."""
    torch.manual_seed(2)
    texts = {}
    for name, lengths in (("document", [4, 3]), ("question", [2, 3])):
        states = torch.randn(2, max(lengths), 4)[list(rows)]
        texts[name] = Encoded(states, [states], states, states[:, 0], torch.tensor(lengths)[list(rows)])
    batch = Batch("qa", {"answers": torch.tensor(gold)}, rows)
    return one(batch, **texts), batch


def test_a_row_without_the_answer_teaches_nothing():
    one = head().eval()
    both, alone = run(one, [[1, 2], [-1, -1]])[0], run(one, [[1, 2]], (0,))[0]
    assert (both.count, alone.count) == (1, 1)
    torch.testing.assert_close(both.loss, alone.loss)


def test_a_row_without_the_answer_teaches_that_there_is_none_where_that_is_asked():
    one = head(no_answer=True)
    adam = torch.optim.Adam(one.parameters(), 0.03)
    for _ in range(30):
        output, batch = run(one, [[1, 2], [-1, -1]])
        adam.zero_grad()
        output.loss.backward()
        adam.step()
    assert output.count == 2
    first, second = one.decode(*run(one, batch.tensor("answers").tolist()))
    assert (first["tokens"], second["tokens"], second["text"]) == ([1, 3], None, "")


def test_losses_of_the_iterations_are_added_or_averaged():
    added, averaged = (run(head(over=over).eval(), [[1, 2], [0, 0]])[0].loss for over in ("sum", "mean"))
    torch.testing.assert_close(added, 4 * averaged)


@pytest.mark.parametrize("answered", [0, 1])
def test_questions_without_an_answer_are_told_unless_they_are_learnt_and_alone_refused(
    file, tmp_path, caplog, answered
):
    text = json.loads(file.read_text())
    questions = [one for part in text["data"][0]["paragraphs"] for one in part["qas"]]
    for one in questions[answered:]:
        one["answers"] = []
    (tmp_path / "some.json").write_text(json.dumps(text))
    made = config(tmp_path / "some.json")
    made["training"]["steps"] = 1
    told = f"tasks.qa: {len(questions) - answered} of {len(questions)} training examples have no answer"
    if answered:
        seqloom.train(made, out=tmp_path / "some")
        assert (
            f"{told} and are left out; set tasks.qa.head.no_answer: true to learn from them" in caplog.messages
        )
        caplog.clear()
    else:
        with pytest.raises(DataError, match=f"{told}, and nothing is learnt; set"):
            seqloom.train(made, out=tmp_path / "some")
    made["tasks"]["qa"]["head"]["no_answer"] = True
    seqloom.train(made, out=tmp_path / "all")
    assert not any("have no answer" in one for one in caplog.messages)
