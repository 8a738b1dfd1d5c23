import pytest

from seqloom.config import parse
from seqloom.data.tokens import Index, View
from seqloom.errors import ConfigError
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover


def plan(text):
    discover()
    source = parse(text)
    table = ModelTable.check(source)
    source.done()
    return lay_out(table)


def task(name, encoder, embedder=None):
    own = f", embedder: {embedder}" if embedder else ""
    return f"  {name}: {{reader: {{type: conll}}, encoder: {encoder}, head: {{type: tag}}{own}}}\n"


def lstm(source):
    return f"{{type: lstm, hidden: 3, input: {source}}}"


WORD = "{type: word, size: 3}"
CHARS = "{type: chars}"
NAMED = f"embedders: {{words: {WORD}}}\nencoders: {{shared: {lstm('words')}}}\n"


def test_tasks_that_name_one_encoder_share_it():
    found = plan(NAMED + "tasks:\n" + task("ner", "shared") + task("pos", "shared"))
    assert found.routes == {"ner": ("words", "shared"), "pos": ("words", "shared")}
    assert list(found.embedders) == ["words"]
    assert list(found.encoders) == ["shared"]


def test_definitions_in_a_task_are_private_and_named_after_it():
    found = plan("tasks:\n" + task("ner", lstm(WORD)) + task("pos", lstm(CHARS), WORD))
    assert found.routes == {"ner": ("ner", "ner"), "pos": ("pos", "pos")}
    assert [one.type for one in found.embedders.values()] == ["word", "word"]
    assert list(found.encoders) == ["ner", "pos"]


def test_a_tasks_embedder_stands_in_for_the_encoders_input():
    text = NAMED.replace("embedders: {", f"embedders: {{dutch: {WORD}, ") + "tasks:\n"
    found = plan(text + task("en", "shared") + task("nl", "shared", "dutch"))
    assert found.routes == {"en": ("words", "shared"), "nl": ("dutch", "shared")}


def test_the_name_of_a_store_is_a_frozen_word_embedder_over_it():
    found = plan("vectors: {glove: {path: x}}\ntasks:\n" + task("ner", lstm("glove")))
    assert found.routes["ner"] == ("glove", "ner")
    assert found.embedders["glove"].type == "word"
    assert found.members["glove"] == {"vectors": "glove"}
    assert not found.embedders["glove"].trainable


def test_every_embedder_comes_after_those_it_is_made_of():
    text = f"vectors: {{glove: {{path: x}}}}\nembedders:\n  small: {WORD}\n"
    text += f"  all: {{type: concat, of: [small, {CHARS}, glove, {{type: concat, of: [small, {CHARS}]}}, {CHARS}]}}\n"
    found = plan(text + "tasks:\n" + task("ner", lstm("all")))
    members = ["small", "all-chars", "glove", "all-concat", "all-chars2"]
    assert found.members["all"] == {"of": members}
    assert found.members["all-concat"] == {"of": ["small", "all-concat-chars"]}
    order = list(found.embedders)
    assert order[-1] == "all"
    assert order.index("all-concat-chars") < order.index("all-concat")
    assert sorted(order) == sorted([*members, "all-concat-chars", "all"])


def test_a_private_name_never_takes_a_written_one():
    text = f"embedders:\n  all: {{type: concat, of: [{CHARS}, all-chars]}}\n  all-chars: {WORD}\n"
    found = plan(text + "tasks:\n" + task("ner", lstm("all")))
    assert found.members["all"] == {"of": ["all-chars2", "all-chars"]}
    assert found.embedders["all-chars"].type == "word"


def test_the_indexes_of_an_embedder_are_those_of_all_it_is_made_of():
    text = f"embedders:\n  all: {{type: concat, of: [{WORD}, {CHARS}, {{type: concat, of: [{WORD}]}}]}}\n"
    found = plan(text + "tasks:\n" + task("ner", lstm("all")))
    assert found.indexes("all") == (Index("words", View("word")), Index("chars", View("characters")))
    assert found.indexes("all-chars") == (Index("chars", View("characters")),)


def test_embedders_that_read_a_vocabulary_in_different_ways_are_refused():
    lower = "{type: word, size: 3, lower: true}"
    text = f"embedders: {{all: {{type: concat, of: [{WORD}, {lower}]}}}}\ntasks:\n{task('ner', lstm('all'))}"
    with pytest.raises(
        ConfigError,
        match=r'"words" in different ways \(lower: False and True\)',
    ):
        plan(text).indexes("all")
    apart = text.replace("lower: true", "lower: true, vocabulary: small")
    assert [one.vocabulary for one in plan(apart).indexes("all")] == ["words", "small"]
