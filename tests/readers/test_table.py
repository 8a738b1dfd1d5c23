import gzip
from unittest.mock import ANY

import pytest
from pydantic import ValidationError

from seqloom.errors import DataError
from seqloom.readers.table import Rows

EXAMPLES = [
    {"label": "good", "text": ["It", "is", "fine", "."], "line": 2},
    {"label": "bad", "text": ["No"], "line": 3},
]
TSV = "label\ttext\ngood\tIt is fine.\nbad\tNo\n"


def reader(texts=("text",), **keys):
    return Rows(Rows.Config(**keys), tuple(texts))


@pytest.fixture
def rows(tmp_path):
    """What a reader finds in a file of that content."""

    def found(content, name="one.tsv", **keys):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(reader(**keys).read(str(file)))

    return found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.tsv", TSV),
        ("one.txt", "\ufeff" + TSV.replace("\n", "\r\n")),
        ("one.tsv.gz", gzip.compress(TSV.encode(), mtime=0)),
        ("one.csv", TSV.replace("\t", ",")),
        ("one.csv.gz", gzip.compress(TSV.replace("\t", ",").encode(), mtime=0)),
    ],
)
def test_the_form_is_told_by_the_name(rows, name, content):
    assert rows(content, name) == EXAMPLES


@pytest.mark.parametrize("name", ["one.jsonl", "one.json", "one.jsonl.gz"])
def test_json_lines(rows, name):
    content = '\n{"label": "good", "text": "It is fine."}\n{"text": ["No"], "label": "bad"}\n \n'
    assert rows(content, name) == EXAMPLES


def test_columns_are_mapped_by_name_or_number(rows):
    content = "id\tsentiment\tsentence\n7\tgood\tIt is fine.\n8\tbad\tNo\n"
    assert rows(content, columns={"label": "sentiment", "text": "sentence"}) == EXAMPLES
    headless = content.split("\n", 1)[1]
    found = rows(headless, columns={"label": 1, "text": 2}, header=False)
    assert found == [{**one, "line": one["line"] - 1} for one in EXAMPLES]


def test_json_columns_are_mapped_by_name(rows):
    content = '{"s": 1, "t": "No", "more": [1]}\n'
    assert rows(content, "one.jsonl", columns={"label": "s", "text": "t"}) == [
        {"label": 1, "text": ["No"], "line": 1}
    ]


def test_quoted_cells_may_run_over_lines(rows):
    content = 'label,text\nx,"One, ""two""\nthree"\n\ny,"four"\n'
    assert rows(content, "one.csv", tokenizer="blanks") == [
        {"label": "x", "text": ["One,", '"two"', "three"], "line": 2},
        {"label": "y", "text": ["four"], "line": 5},
    ]


def test_a_separator_may_be_set(rows):
    assert rows("label;text\nbad;No\n", "one.csv", separator=";")[0]["text"] == ["No"]
    assert rows("label|text\nbad|No\n", separator="|")[0]["text"] == ["No"]
    assert rows('label\ttext\nbad\t"No"\n')[0]["text"] == ['"', "No", '"']


def test_the_last_column_may_take_the_rest_of_the_line(rows):
    keys = {"columns": {"label": 0, "text": 1}, "header": False, "separator": " ", "rest": True}
    content = "DESC:manner How did it go ?\nNUM:date When ?\n"
    found = rows(content, cut={"label": ":"}, **keys)
    assert [one["label"] for one in found] == ["DESC", "NUM"]
    assert found[0]["text"] == ["How", "did", "it", "go", "?"]
    assert rows(content, **keys)[1]["label"] == "NUM:date"


def test_rows_of_some_values_are_skipped_and_counted(rows, caplog):
    assert rows(TSV, skip={"label": ["good", "-"]}) == EXAMPLES[1:]
    assert caplog.messages == [ANY]
    assert caplog.messages[0].endswith('one.tsv: 1 rows with the label "good" are left out (reader key `skip`)')
    caplog.clear()
    assert rows(TSV, skip={"label": ["-"]}) == EXAMPLES
    assert not caplog.messages


def test_whole_numbers_of_json_are_skipped_as_they_are_written(rows):
    content = '{"text": "a b", "label": -1}\n{"text": "c", "label": 0}\n{"text": "d", "label": true}\n'
    found = rows(content, "one.jsonl", skip={"label": ["-1"]})
    assert [one["label"] for one in found] == [0, True]


def test_a_name_that_stands_twice_in_the_header_is_refused(rows):
    with pytest.raises(DataError, match=r'one.tsv:1: the header has "text" twice'):
        rows("text\tlabel\ttext\na\tb\tc\n")


def test_several_texts(rows):
    found = rows("premise\thypothesis\tlabel\nA b.\tC\tyes\n", texts=("premise", "hypothesis"))
    assert found == [{"premise": ["A", "b", "."], "hypothesis": ["C"], "label": "yes", "line": 2}]


@pytest.mark.parametrize(
    ("name", "content", "keys", "message"),
    [
        ("one.tsv", "a\tb\n1\t2\n3\n", {}, ":3: 1 columns, the header has 2"),
        (
            "one.tsv",
            "lable\ttext\nx\ty\n",
            {"columns": {"label": "label", "text": "text"}},
            ':2: no column "label"; did you mean "lable"? (lable, text) for label',
        ),
        (
            "one.tsv",
            "x\n",
            {"columns": {"label": 0, "text": 1}, "header": False},
            ':1: no column "1" (0) for text',
        ),
        ("one.csv", 'a,b\n1,"2\n', {}, ":2: not comma-separated values: unexpected end of data"),
        ("one.jsonl", '{"text": "a"}\n{"text": }\n', {}, ":2: not JSON: Expecting value at position 10"),
        ("one.jsonl", "[1]\n", {}, ":1: should be a JSON object with a key for each column"),
        ("one.jsonl", '{"text": null}\n', {}, ":1: text should be text or a list of words, found None"),
        ("one.jsonl", '{"text": ["a", 1]}\n', {}, ":1: text should be text or a list of words, found ['a', 1]"),
        (
            "one.jsonl",
            '{"text": "\\ud83d!"}\n',
            {},
            ":1: holds half a character: a surrogate such as \\ud83d without",
        ),
        ("one.tsv", b"text\n\xff\n", {}, ":2: byte 0xff at position 1 is not UTF-8"),
    ],
)
def test_bad_input_is_told_with_file_and_line(rows, tmp_path, name, content, keys, message):
    with pytest.raises(DataError) as found:
        rows(content, name, **keys)
    assert str(found.value).startswith(f"{tmp_path}/{name}{message}")


def test_whole_characters_may_be_written_as_two_surrogates(rows):
    assert rows('{"text": "\\uD83D\\uDE00"}\n', "one.jsonl")[0]["text"] == ["😀"]


@pytest.mark.parametrize("name", ["one.tsv", "one.csv", "one.jsonl"])
def test_a_file_may_hold_nothing(rows, name):
    assert rows("", name) == []


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"header": False, "columns": {"text": "body"}},
            "without a header, columns go by number: write for instance",
        ),
        ({"header": False}, "without a header, say which column is which: columns"),
        ({"columns": {"text": "a"}, "skip": {"txt": ["-"]}}, 'skip: no column "txt"; did you mean "text"?'),
        ({"columns": {"text": "a"}, "cut": {"label": ":"}}, 'cut: no column "label"'),
    ],
)
def test_keys_that_do_not_fit_each_other_are_refused(keys, message):
    with pytest.raises(ValidationError) as found:
        Rows.Config(**keys)
    assert message in str(found.value)


def test_the_columns_a_table_gives_are_those_it_maps():
    assert Rows.gives(Rows.Config()) is None
    assert Rows.gives(Rows.Config(columns={"text": "a", "label": "b"})) == {"text", "label"}


def test_raw_text_is_cut_by_the_tokenizer():
    assert reader().parse("Don't go.") == {"text": ["Don't", "go", "."]}
    assert reader(tokenizer="characters").parse("a\tb") == {"text": ["a", "\t", "b"]}


def test_raw_text_of_several_columns_has_tabs_between_in_their_order():
    pair = reader(("premise", "hypothesis"), columns={"premise": "a", "label": "c", "hypothesis": "b"})
    assert pair.parse("A b\tC") == {"premise": ["A", "b"], "hypothesis": ["C"]}
    with pytest.raises(
        DataError, match=r"1 texts in a line, 2 are needed \(premise, hypothesis\), tabs between"
    ):
        pair.parse("A b")


def test_texts_keep_their_first_tokens(rows):
    assert rows("text\tlabel\none two three\tgood\n", crop=2)[0]["text"] == ["one", "two"]
    assert reader(crop=2).parse("four five six")["text"] == ["four", "five"]
