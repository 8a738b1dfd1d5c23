"""What every registered reader keeps to; a new one is held to it the moment it exists."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from seqloom.config import kinds
from seqloom.data.fields import TextField
from seqloom.model.tables import discover

discover()
Configuration = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """A small file for a reader: its keys, the file's name and content, the columns of its texts, files beside it."""

    keys: Configuration
    name: str
    content: str
    texts: tuple[str, ...] = ("text",)
    beside: dict[str, str] = field(default_factory=dict)


BLANKS = {"tokenizer": "blanks"}
SAMPLES = {
    "book": Sample(BLANKS, "one.txt", "x\nA b\nc\ny\n"),
    "captions": Sample(
        {**BLANKS, "languages": ["en", "de"]},
        "one.images.txt",
        "first\nsecond\n",
        ("source", "target"),
        {"one.1.en": "A b\nc\n", "one.1.de": "A b\nc\n"},
    ),
    "conll": Sample(BLANKS, "one.txt", "A X\nb Y\n\nc Z\n"),
    "lines": Sample(BLANKS, "one.txt", "A b\nc\n"),
    "parallel": Sample(BLANKS, "one.tsv", "A b\tX y\nc\tZ\n", ("source",)),
    "squad": Sample(
        BLANKS,
        "one.json",
        '{"data": [{"paragraphs": [{"context": "A b", "qas": [{"id": "1", "question": "A b", "answers": []}]},'
        ' {"context": "c", "qas": [{"id": "2", "question": "c", "answers": []}]}]}]}',
        ("document", "question"),
    ),
    "trees": Sample({}, "one.txt", "(1 (0 A) (2 b))\n(2 c)\n"),
    "table": Sample({**BLANKS, "columns": {"text": "t", "label": "l"}}, "one.tsv", "l\tt\nx\tA b\ny\tc\n"),
}
"""By kind of reader, a file of two rows; all texts of the first are `A b`, those of the second `c`."""


@pytest.fixture(params=kinds("readers"))
def read(request, tmp_path):
    """A reader, its table and the examples of its sample."""
    kind = kinds("readers")[request.param]
    assert request.param in SAMPLES, f"give the reader {request.param} a small file in SAMPLES"
    sample = SAMPLES[request.param]
    config = kind.Config(**sample.keys)
    for name, content in {sample.name: sample.content, **sample.beside}.items():
        (tmp_path / name).write_text(content)
    reader = kind(config, sample.texts)
    return reader, config, list(reader.read(str(tmp_path / sample.name)))


def test_a_reader_gives_the_columns_it_says(read):
    reader, config, examples = read
    for text in reader.texts:
        assert [example[text] for example in examples] == [["A", "b"], ["c"]]
    assert all(set(example) - {"line"} == reader.gives(config) for example in examples)
    lines = [example["line"] for example in examples]
    assert lines == sorted(set(lines))


def test_a_reader_parses_raw_text_as_it_reads_files(read):
    reader, _, examples = read
    for example in examples:
        parsed = reader.parse("\t".join(" ".join(example[text]) for text in reader.texts))
        assert set(parsed) >= set(reader.texts)
        assert all(parsed[column] == example[column] for column in parsed)
        assert all(TextField().store(parsed[text]) == example[text] for text in reader.texts)
