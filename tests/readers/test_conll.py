import gzip

import pytest
from pydantic import ValidationError

from seqloom.errors import DataError
from seqloom.readers.conll import CoNLL

UNIVERSAL = """\
# newdoc
# sent_id = 1
# text = Vámonos al mar.
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\tV\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_
3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_
3\ta\ta\tADP\tA\t_\t5\tcase\t_\t_
4\tel\tel\tDET\tD\t_\t5\tdet\t_\t_
4.1\tgran\tgran\tADJ\tJ\t_\t_\t_\t_\t_
5\tmar azul\tmar\tNOUN\tN\t_\t1\tobl\t_\t_
# comment inside
6\t#\t#\tPUNCT\tS\t_\t1\tpunct\t_\t_

# sent_id = 2
1\tSí\tsí\tINTJ\tI\t_\t0\troot\t_\t_
"""


def reader(**keys):
    return CoNLL(CoNLL.Config(**keys), ("text",))


@pytest.fixture
def sentences(tmp_path):
    """What a reader finds in a file of that content, as (tokens, tags, line)."""

    def found(content, **keys):
        file = tmp_path / "one.txt"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        rows = list(reader(**keys).read(str(file)))
        return [(" ".join(row["text"]), " ".join(row["tags"]), row["line"]) for row in rows]

    return found


@pytest.mark.parametrize(
    "content",
    [
        "a X\nb Y\n\nc Z\n",
        "a X\nb Y\n\nc Z",
        "a\tX\r\nb\tY\r\n\r\nc\tZ\r\n",
        "\ufeffa   X  \nb \t Y\n  \t\nc Z\n\n\n",
        gzip.compress(b"a X\nb Y\n\nc Z\n", mtime=0),
    ],
    ids=["plain", "no end", "windows", "untidy", "gzip"],
)
def test_a_token_a_line_and_an_empty_line_between(sentences, content):
    assert sentences(content) == [("a b", "X Y", 1), ("c", "Z", 4)]


def test_columns_are_chosen_by_number(sentences):
    content = "-DOCSTART- -X- -X- O\n\nThe DT B-NP O\nHague NNP I-NP B-LOC\n"
    assert sentences(content) == [("The Hague", "O B-LOC", 3)]
    assert sentences(content, tags=1) == [("The Hague", "DT NNP", 3)]
    assert sentences(content, tags=-2) == [("The Hague", "B-NP I-NP", 3)]
    assert sentences(content, tokens=2, tags=0) == [("B-NP I-NP", "The Hague", 3)]


def test_universal_columns_are_chosen_by_name(sentences):
    words = "Vamos nos a el mar azul #"
    assert sentences(UNIVERSAL, tags="upos") == [
        (words, "VERB PRON ADP DET NOUN PUNCT", 5),
        ("Sí", "INTJ", 16),
    ]
    assert sentences(UNIVERSAL, tokens="lemma", tags="xpos")[1] == ("sí", "I", 16)
    assert sentences(UNIVERSAL, tokens="form", tags=7)[1] == ("Sí", "root", 16)


def test_a_number_sign_may_be_a_token(sentences):
    assert sentences("# a comment\na X\n# Y\n") == [("a #", "X Y", 2)]
    assert sentences("#\tX\na\tY\n") == [("# a", "X Y", 1)]
    assert sentences("# X\na Y\n", comments="keep") == [("# a", "X Y", 1)]
    assert sentences("a X\n#\tY\n# no tag\n", comments="skip") == [("a", "X", 1)]


def test_a_blank_that_does_not_break_is_part_of_a_token(sentences):
    assert sentences("a\u00a0b X\n\u2009c Y\n") == [("a\u00a0b \u2009c", "X Y", 1)]


def test_a_prefix_is_cut_from_tokens_that_have_it(sentences):
    assert sentences("nl:huis X\nboot Y\nnl: Z\n", prefix="nl:") == [("huis boot nl:", "X Y Z", 1)]


def test_traces_of_treebanks_stay_unless_they_are_left_out(sentences):
    content = "He\tPRP\nwants\tVBZ\n*-1\t-NONE-\nto\tTO\n\n0\t-NONE-\n\ngo\tVB\n"
    assert [text for text, *_ in sentences(content)] == ["He wants *-1 to", "0", "go"]
    assert [text for text, *_ in sentences(content, traces=False)] == ["He wants to", "go"]


def test_a_separator_may_be_set(sentences):
    assert sentences("a b\tX\n", separator="tab") == [("a b", "X", 1)]
    assert sentences("a b\tX\n", separator="blank", tags=1) == [("a", "b", 1)]


def test_brackets_are_put_back(sentences):
    content = "-LRB- X\n`` X\n/. X\n-RRB- X\n"
    assert sentences(content, brackets=True) == [('( " . )', "X X X X", 1)]
    assert sentences(content) == [("-LRB- `` /. -RRB-", "X X X X", 1)]


@pytest.mark.parametrize(
    ("scheme", "tags", "expected"),
    [
        ("iob", "I-A I-A O I-B B-B", "B-A I-A O B-B B-B"),
        ("bio", "B-A I-A O I-B I-A", "B-A I-A O B-B B-A"),
        ("bioes", "S-A O B-B I-B E-B", "B-A O B-B I-B I-B"),
        (None, "S-A I-X WHAT", "S-A I-X WHAT"),
    ],
)
def test_tags_of_a_scheme_come_as_bio(sentences, scheme, tags, expected):
    content = "".join(f"t {tag}\n" for tag in tags.split())
    assert sentences(content, scheme=scheme)[0][1] == expected


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        ("a X\nb\n", {}, '2: 1 blank-separated columns, at least 2 are needed: "b"'),
        ("a X Y Z\n\nb\tX\n", {"tags": 3}, '3: 2 tab-separated columns, at least 4 are needed: "b\tX"'),
        ("a X\n", {"tags": -3}, "1: 2 blank-separated columns, at least 3 are needed"),
        ("1\ta\n", {"tags": "upos"}, "1: 2 tab-separated columns, at least 4 are needed"),
        ("1 a b c\n", {"tags": "upos"}, "1: 1 tab-separated columns, at least 4 are needed"),
        ("a\tX\n\tX\n", {}, '2: an empty token: "\tX"'),
        ("a\tX\nb\t \n", {}, '2: an empty tag: "b\t "'),
        (
            "a B-X\n\n# one\nb O\n# two\nc S-X\n",
            {"scheme": "bio", "comments": "skip"},
            '6: the tag "S-X" is outside',
        ),
        ("a I\n", {"scheme": "iob"}, '1: the tag "I" is outside the scheme "iob"'),
        (b"a X\nb\xe9 Y\n", {}, "2: byte 0xe9 at position 2 is not UTF-8; convert the file, for instance with"),
        (gzip.compress(b"a X\n" * 99, mtime=0)[:20], {}, "the gzip data is damaged or cut short"),
    ],
)
def test_bad_input_is_told_with_file_and_line(sentences, tmp_path, content, keys, message):
    with pytest.raises(DataError) as found:
        sentences(content, **keys)
    assert str(found.value).startswith(f"{tmp_path}/one.txt:")
    assert message in str(found.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="none: no such file"):
        list(reader().read(str(tmp_path / "none")))


@pytest.mark.parametrize("content", ["", "\n\n", "-DOCSTART- -X- O\n\n", "# only a comment\n"])
def test_a_file_may_hold_nothing(sentences, content):
    assert sentences(content) == []


@pytest.mark.parametrize("keys", [{"tags": "upso"}, {"tokens": 1.0}, {"scheme": "iobes"}, {"sample": 1.0}])
def test_keys_of_another_form_are_refused(keys):
    with pytest.raises(ValidationError):
        CoNLL.Config(**keys)


def test_raw_text_is_cut_by_the_tokenizer():
    assert reader().parse("Don't go.") == {"text": ["Don't", "go", "."]}
    assert reader(tokenizer="blanks").parse("Don't go.") == {"text": ["Don't", "go."]}


def test_tags_may_be_a_text_to_be_written(tmp_path):
    (tmp_path / "one.txt").write_text("Nora NOUN\nslept VERB\n")
    one = CoNLL(CoNLL.Config(written=True), ("source",), ("target",))
    (found,) = one.read(str(tmp_path / "one.txt"))
    assert found == {"source": ["Nora", "slept"], "target": ["NOUN", "VERB"], "line": 1}
    assert set(found) - {"line"} == one.gives(one.config)
    assert one.parse("Nora woke") == {"source": ["Nora", "woke"]}
