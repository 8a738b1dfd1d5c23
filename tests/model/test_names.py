"""The names of a configuration, followed from its tasks down."""

import pytest

from seqloom.config import parse
from seqloom.model.tables import ModelTable, Names, check_columns, check_groups, discover

UNUSED = "nothing uses it; name it in a task, encoder or embedder, or take it out"
BASE = """\
vectors:
  glove: {path: x}
embedders:
  small: {type: word, size: 3}
  words: {type: concat, of: [glove, small]}
tasks:
  ner:
    reader: {type: conll}
    encoder: {type: lstm, hidden: 3, input: words}
    head: {type: tag}
"""


def faults(text):
    discover()
    source = parse(text, "f")
    Names(source).check()
    return [f"{one.where}  {one.path}  {one.what}" for one in source.faults]


def edited(*edits):
    text = BASE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    "edit",
    [
        ("ner:", "ner:"),
        ("input: words", "input: {type: concat, of: [words]}"),
        ("of: [glove, small]", "of: [small, {type: word, vectors: glove}]"),
        ("input: words}", "input: small}\n    embedder: words"),
        (", input: words}", "}\n    embedder: words"),
        ("{type: lstm, hidden: 3, input: words}", "shared"),
    ],
)
def test_names_are_followed_through_every_part(edit):
    shared = "encoders:\n  shared: {type: lstm, hidden: 3, input: words}\n" if edit[1] == "shared" else ""
    assert faults(edited(edit) + shared) == []


def test_an_encoder_without_input_needs_an_embedder_of_the_task():
    what = "its encoder has no input; give the encoder an input, or the task an embedder"
    assert f"f:7  tasks.ner  {what}" in faults(edited((", input: words", "")))


@pytest.mark.parametrize(("section", "line"), [("vectors", 2), ("embedders", 4), ("encoders", 12)])
def test_what_nothing_names_is_unused(section, line):
    spare = f"{section}:\n  spare: {{type: concat, of: [words]}}\n"
    text = edited((f"{section}:\n", spare)) if section in BASE else BASE + spare
    assert faults(text) == [f"f:{line}  {section}.spare  {UNUSED}"]


def test_what_only_an_unused_part_names_is_unused_too():
    assert faults(edited(("input: words", "input: small"))) == [
        f"f:2  vectors.glove  {UNUSED}",
        f"f:5  embedders.words  {UNUSED}",
    ]


def test_an_unknown_name_counts_as_the_nearest():
    assert faults(edited(("input: words", "input: wrods"))) == [
        'f:9  tasks.ner.encoder.input  no embedder "wrods"; did you mean "words"? (glove, small, words)'
    ]
    assert faults(edited(("input: words", "input: nothing")))[0] == (
        'f:9  tasks.ner.encoder.input  no embedder "nothing" (glove, small, words)'
    )


def test_an_unknown_kind_does_not_make_its_names_unused():
    assert faults(edited(("type: concat", "type: cncat"))) == []


@pytest.mark.parametrize(
    ("small", "fault"),
    [
        ("[glove]", []),
        ("[small]", ['f:4  embedders.small.of.0  "small" is made of itself']),
        ("[glove, words]", ['f:4  embedders.small.of.1  "words" is made of itself']),
    ],
)
def test_an_embedder_made_of_itself_is_told_where_the_circle_closes(small, fault):
    assert faults(edited(("{type: word, size: 3}", f"{{type: concat, of: {small}}}"))) == fault


def test_a_name_stands_for_one_thing():
    text = edited(("small", "glove"), ("ner:", "words:"))
    assert faults(text)[:2] == [
        'f:4  embedders.glove  the name "glove" is taken in vectors; every name stands for one thing',
        'f:7  tasks.words  the name "words" is taken in embedders; every name stands for one thing',
    ]


@pytest.mark.parametrize(
    "text", ["tasks: 3", "tasks: {a: 3}", "embedders: [1]", "tasks: {a: {encoder: 3}}", "x: 1"]
)
def test_what_has_no_form_is_left_to_the_tables(text):
    assert faults(text) == []


def checked(check, text):
    discover()
    source = parse(text, "f")
    table = ModelTable.check(source)
    assert table is not None
    check(table, source)
    return [f"{one.where}  {one.path}  {one.what}" for one in source.faults]


def groups(first, second):
    other = BASE[BASE.index("  ner:") :].replace("ner", "pos").replace("{type: tag}", second)
    return checked(check_groups, edited(("{type: tag}", first)) + other)


def test_heads_of_a_group_must_agree_but_in_what_is_their_own():
    assert groups("{type: tag, share: x}", "{type: tag, share: x, specific: true}") == []
    assert groups("{type: tag, share: x}", "{type: tag, share: y, hidden: 4}") == []
    assert groups("{type: tag, share: x}", "{type: tag, share: x, hidden: 4, crf: true}") == [
        'f:14  tasks.pos.head  differs from tasks.ner.head in crf, hidden; heads that share "x" must agree'
    ]


def test_a_reader_must_give_what_the_head_reads_where_the_configuration_tells():
    assert checked(check_columns, edited(("type: conll", "type: table"))) == []
    columns = edited(("type: conll", "type: table, columns: {text: 0, tag: 1}, header: false"))
    assert checked(check_columns, columns) == [
        "f:8  tasks.ner.reader  the head reads text, tags, but the reader table gives tag, text; tags is missing"
    ]
