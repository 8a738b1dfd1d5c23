import gzip

import pytest

from seqloom.config import parse
from seqloom.errors import ConfigError, DataError
from seqloom.experiment import check
from seqloom.readers.lines import Lines

TEXT = "Rain again. \n\n  \t\nIt's raining\r\n"
EXAMPLES = [
    {"text": ["Rain", "again", "."], "line": 1},
    {"text": ["It's", "raining"], "line": 4},
]


def reader(**keys):
    return Lines(Lines.Config(**keys), ("text",))


def test_a_line_is_a_text_and_blank_lines_are_none(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes(TEXT.encode())
    assert list(reader().read(str(file))) == EXAMPLES


def test_a_gzipped_file_reads_the_same(tmp_path):
    file = tmp_path / "texts"
    file.write_bytes(gzip.compress(TEXT.encode()))
    assert list(reader().read(str(file))) == EXAMPLES


def test_the_tokenizer_cuts_texts_of_files_and_of_users_alike(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("Rain again.")
    blanks = reader(tokenizer="blanks")
    assert blanks.parse("Rain again.") == {"text": ["Rain", "again."]}
    assert list(blanks.read(str(file))) == [{"text": ["Rain", "again."], "line": 1}]


def test_what_is_not_utf8_is_told_with_its_line(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes(b"Rain\n\nagain \xff\n")
    with pytest.raises(DataError, match=r"texts\.txt:3: byte 0xff at position 7 is not UTF-8"):
        list(reader().read(str(file)))


def test_a_head_that_reads_more_than_text_is_told_so():
    task = "{reader: {type: lines, train: x}, encoder: {type: lstm, hidden: 4}, "
    task += "embedder: {type: word, size: 4}, head: {type: classify}}"
    with pytest.raises(ConfigError, match="the reader lines gives text; label is missing"):
        check(parse(f"tasks: {{topic: {task}}}\ntraining: {{steps: 1}}"))
