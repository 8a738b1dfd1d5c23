import gzip
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from seqloom.data.spans import Answer
from seqloom.errors import DataError
from seqloom.progress import showing
from seqloom.readers.squad import SQuAD

CONTEXT = "The Normans, in Normandy's  east,\ngave 4,5€ – 😀 all."
TOKENS = [
    "The",
    "Normans",
    ",",
    "in",
    "Normandy's",
    "east",
    ",",
    "gave",
    "4",
    ",",
    "5",
    "€",
    "–",
    "😀",
    "all",
    ".",
]


class Notices:
    def __init__(self):
        self.told = []

    def notice(self, text):
        self.told.append(text)


def question(name="q1", text="Who gave?", *answers, **more):
    found = [{"text": one, "answer_start": CONTEXT.index(one)} for one in answers]
    return {"id": name, "question": text, "answers": found, **more}


def file(folder, *questions, context=CONTEXT):
    paragraphs = [{"context": context, "qas": list(questions)}]
    path = folder / "squad.json"
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "x", "paragraphs": paragraphs}]}))
    return str(path)


def reader(**keys):
    return SQuAD(SQuAD.Config(**keys), ("document", "question"))


def test_a_question_is_an_example_whose_offsets_are_those_of_its_tokens(tmp_path):
    path = file(tmp_path, question("q1", "Who gave?", "Normans", "The Normans, in"), question("q2", "What?"))
    first, second = reader().read(path)
    assert first["document"] == TOKENS
    assert first["question"] == ["Who", "gave", "?"]
    assert [first["characters"][start:end] for start, end in first["offsets"]] == TOKENS
    assert first["answers"] == [Answer(1, 2, "Normans"), Answer(0, 4, "The Normans, in")]
    assert (first["id"], first["line"], first["characters"]) == ("q1", 1, CONTEXT)
    assert (second["id"], second["line"], second["answers"]) == ("q2", 2, [])
    zipped = tmp_path / "zipped"
    zipped.write_bytes(gzip.compress((tmp_path / "squad.json").read_bytes()))
    assert list(reader().read(str(zipped))) == [first, second]


def test_an_answer_that_ends_inside_a_token_is_widened_and_counted(tmp_path):
    path, notices = (
        file(tmp_path, question("q1", "Where?", "Normandy", "€ – 😀", "ormandy's  east,\n")),
        Notices(),
    )
    with showing(notices):
        (example,) = reader().read(path)
    spans = [TOKENS[start:end] for start, end, _ in example["answers"]]
    assert spans == [["Normandy's"], ["€", "–", "😀"], ["Normandy's", "east", ","]]
    assert [one.text for one in example["answers"]] == ["Normandy", "€ – 😀", "ormandy's  east,\n"]
    assert notices.told == [f"{path}: 2 answers begin or end inside a token; whole tokens are learnt"]


def test_an_impossible_question_has_no_answer_and_one_without_answers_lacks_the_column(tmp_path):
    plausible = {"plausible_answers": [{"text": "x", "answer_start": 0}]}
    impossible = question("q1", "Why?", "east", is_impossible=True, **plausible)
    unanswered = {"id": 7, "question": "Why not?"}
    first, second = reader().read(file(tmp_path, impossible, unanswered))
    assert first["answers"] == []
    assert second["id"] == "7"
    assert "answers" not in second


def test_long_contexts_are_cut_into_windows_that_overlap(tmp_path):
    path = file(tmp_path, question("q1", "Who?", "Normans", "Normandy's"))
    rows = list(reader(window=6, stride=4).read(path))
    assert [row["document"] for row in rows] == [TOKENS[0:6], TOKENS[4:10], TOKENS[8:14], TOKENS[12:16]]
    assert [row["line"] for row in rows] == [1, 2, 3, 4]
    assert all(row["id"] == "q1" and row["characters"] == CONTEXT for row in rows)
    for row in rows:
        assert [CONTEXT[start:end] for start, end in row["offsets"]] == row["document"]
    outside = [Answer(-1, -1, "Normans"), Answer(-1, -1, "Normandy's")]
    assert rows[0]["answers"] == [Answer(1, 2, "Normans"), Answer(4, 5, "Normandy's")]
    assert rows[1]["answers"] == [outside[0], Answer(0, 1, "Normandy's")]
    assert rows[2]["answers"] == outside
    assert len(list(reader(window=6).read(path))) == 5
    assert len(list(reader(window=16).read(path))) == 1


def test_a_raw_line_is_a_document_and_a_question():
    parsed = reader().parse(f"{CONTEXT}\tWho gave?")
    assert parsed["document"] == TOKENS
    assert parsed["question"] == ["Who", "gave", "?"]
    assert [parsed["characters"][start:end] for start, end in parsed["offsets"]] == TOKENS
    assert set(parsed) == {"document", "question", "characters", "offsets"}
    with pytest.raises(
        DataError, match=r"1 texts in a line, 2 are needed \(document, question\), tabs between"
    ):
        reader().parse(CONTEXT)


def test_columns_name_what_another_head_reads(tmp_path):
    pair = SQuAD(
        SQuAD.Config(columns={"premise": "question", "hypothesis": "context"}), ("premise", "hypothesis")
    )
    (row,) = pair.read(file(tmp_path, question()))
    assert row == {"premise": ["Who", "gave", "?"], "hypothesis": TOKENS, "line": 1}
    assert pair.parse("Who gave?\tThe  Normans") == {
        "premise": ["Who", "gave", "?"],
        "hypothesis": ["The", "Normans"],
    }


AT = "article 1, paragraph 1, question q1"
MOVED = {"text": "Normans", "answer_start": 5}
MISTAKES = [
    (
        [question(answers=[MOVED])],
        AT + ': the answer "Normans" should begin at character 5; there stands "ormans,"',
    ),
    ([question(answers=[MOVED | {"answer_start": -1}])], "should begin at character -1; there stands nothing"),
    (
        [question(answers=[{"text": "  ", "answer_start": 26}])],
        AT + ': the answer "  " at character 26 has no token',
    ),
    ([question(answers=[{"text": "x"}])], AT + ': an object with "answer_start" .a number. should stand here'),
    ([question(text=" ")], AT + ": the question has no tokens"),
    ([question(text=[1])], AT + r': an object with "question" .text. should stand here, found \[1\]'),
    ([question(text="\ud83d")], AT + r": '\\ud83d' holds half a character"),
    ([question(), question()], AT + ": another question has this id"),
    (["?"], r'article 1, paragraph 1: an object with "id" .text. should stand here, found none'),
]


@pytest.mark.parametrize(("questions", "told"), MISTAKES)
def test_a_mistake_is_told_with_its_question(tmp_path, questions, told):
    with pytest.raises(DataError, match=r"squad\.json: .*" + told):
        list(reader().read(file(tmp_path, *questions)))


def test_a_context_over_the_limit_is_told_with_what_would_do(tmp_path):
    path = file(tmp_path, question())
    what = r"a context of 16 tokens is over the limit of 10; cut it \(reader key `window`\), or raise"
    with pytest.raises(DataError, match=what):
        list(reader(longest=10).read(path))
    assert len(list(reader(longest=10, window=10).read(path))) > 1


@pytest.mark.parametrize(("cut", "position"), [(40, 40), (-1, 248), (0, 1)])
def test_a_file_cut_short_is_told_with_the_position(tmp_path, cut, position):
    path = tmp_path / "cut.json"
    whole = Path(file(tmp_path, question("q1", "Who?", "Normans"))).read_text()
    assert len(whole) == 248
    path.write_text(whole[:cut])
    with pytest.raises(
        DataError, match=rf"cut\.json:1: not JSON at position {position}: .*; is the file whole?"
    ):
        list(reader().read(str(path)))


def test_other_json_and_wrong_keys_are_told(tmp_path):
    path = tmp_path / "list.json"
    path.write_text("[]")
    with pytest.raises(
        DataError, match=r'list\.json: an object with "data" \(a list\) should stand here, found none'
    ):
        list(reader().read(str(path)))
    with pytest.raises(ValidationError, match="stride is at most window"):
        SQuAD.Config(stride=3)


@pytest.mark.parametrize("name", ["squad_small/train.json.gz", "xquad/xquad.de.json", "policyqa/dev.json.gz"])
def test_answers_of_real_sets_stand_where_the_files_say(real_data, name):
    for row in reader().read(str(real_data / name)):
        for start, end, text in row["answers"]:
            whole = row["characters"][row["offsets"][start][0] : row["offsets"][end - 1][1]]
            assert text.strip() in whole


def test_a_tokenizer_that_changes_what_it_cuts_is_refused():
    with pytest.raises(ValidationError, match="tokenizer"):
        SQuAD.Config(tokenizer="moses-escaped")


def test_a_context_that_the_tokenizer_changes_is_told(tmp_path):
    pytest.importorskip("sacremoses")
    reader = SQuAD(SQuAD.Config(tokenizer="moses"), ("document", "question"))
    with pytest.raises(DataError, match="a text for document: its token 'abcd' does not stand in it"):
        reader.example({"document": "ab\x07cd ef"})
    table = {"data": [{"paragraphs": [{"context": "ab\x07cd ef", "qas": []}]}]}
    (tmp_path / "one.json").write_text(json.dumps(table))
    with pytest.raises(DataError, match="paragraph 1: the context: its token 'abcd' does not"):
        list(reader.read(str(tmp_path / "one.json")))
