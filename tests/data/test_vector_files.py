"""Files of word vectors: numbers as `float()` reads them, words as they stand, faults told with their place."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqloom.data import vector_files
from seqloom.data.vectors import Vectors
from seqloom.errors import DataError


@pytest.fixture
def write(tmp_path):
    def writing(content: str | bytes, name: str = "vectors.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writing


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("vectors")


def float32(tokens) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.array([[float(token) for token in row] for row in tokens]).astype(np.float32)


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal numbers, -0.0 unlike 0.0, and no number where the other has none."""
    return (
        left.shape == right.shape
        and (left.view(np.int32) == right.view(np.int32))[left == left].all()
        and (np.isnan(left) == np.isnan(right)).all()
    )


def binary(rows: list[tuple[bytes, list[float]]], size: int, end: bytes = b"\n") -> bytes:
    body = b"".join(word + b" " + struct.pack(f"<{size}f", *values) + end for word, values in rows)
    return f"{len(rows)} {size}\n".encode() + body


def pointed(sign: str, digits: int, decimals: int, exponent: str) -> str:
    text = str(digits).zfill(decimals + 1)
    return f"{sign}{text[: len(text) - decimals]}.{text[len(text) - decimals :]}{exponent}"


styles = st.sampled_from(["%.5f", "%.5g", "%.6f", "%.4f", "%.9g", "%.12f", "%.17g", "%.3e", "%r"])
signs, exponents = st.sampled_from(["", "-", "+"]), st.sampled_from(["", "", "e-7", "E5"])
numbers = st.one_of(
    st.builds(lambda style, value: style % value, styles, st.floats(-11, 11)),
    st.builds(pointed, signs, st.integers(0, 10**18), st.integers(0, 20), exponents),
    st.floats().map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(
        ["-0.0", ".5", "-.5", "5.", "inf", "-nan", "1e39", "-0", "9.99999999", "0.123456789012345"]
    ),
)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=70),
    repeat=st.sampled_from([1, 40]),
)
@example(rows=[["0.1", "-0.22", "9.99999999"], ["0.999999999999999", "-9.007199254740993", "00.5"]], repeat=40)
def test_a_number_is_the_float32_of_what_float_makes_of_it(rows, repeat, folder):
    rows = rows * repeat
    path = folder / "numbers.txt"
    path.write_text("".join(f"w{number} {' '.join(row)}\n" for number, row in enumerate(rows)))
    opened = Vectors.open(path, header="none")
    assert opened.words == [f"w{number}" for number in range(len(rows))]
    assert same_bits(opened.matrix, float32(rows))


fields = st.text(
    st.characters(codec="utf-8", exclude_characters="\n", min_codepoint=33), min_size=1, max_size=5
)
words = st.lists(fields.filter(lambda field: not _is_number(field)), min_size=1, max_size=3).map(" ".join)


def _is_number(field: str) -> bool:
    return (
        re.fullmatch(rb"[-+]?(inf(inity)?|nan|[\d_.]+(e[-+]?\d+)?)", field.encode(), re.IGNORECASE) is not None
    )


@settings(deadline=None, max_examples=60)
@given(
    words=st.lists(words, unique=True, min_size=1, max_size=9),
    gap=st.sampled_from([" ", "  ", "\t"]),
    windows=st.booleans(),
    data=st.data(),
)
def test_words_come_back_with_their_blanks_however_a_file_separates_them(words, gap, windows, data, folder):
    tokens = [[f"{number}.5", "-0.125"] for number in range(len(words))]
    ends = data.draw(st.lists(st.sampled_from(["", " "]), min_size=len(words), max_size=len(words)))
    lines = [word + gap + gap.join(row) + end for word, row, end in zip(words, tokens, ends, strict=True)]
    path = folder / "words.txt"
    path.write_bytes(("\r\n" if windows else "\n").join(lines).encode())
    opened = Vectors.open(path, header="none")
    assert opened.words == words
    asked = data.draw(st.lists(st.sampled_from(words), unique=True))
    assert (opened.rows(asked) == float32([tokens[words.index(word)] for word in asked]).reshape(-1, 2)).all()


def test_a_file_of_many_chunks_is_read_as_one(write, monkeypatch):
    values = np.random.default_rng(0).normal(0, 1, (150, 7)).astype(np.float32)
    path = write("".join(f"w{i} {' '.join(map(str, row.tolist()))} \n" for i, row in enumerate(values)))
    for size in (1, 100, 3000):
        monkeypatch.setattr(vector_files, "CHUNK", size)
        opened = Vectors.open(path)
        assert len(opened.words) == 150
        assert (opened.matrix == values).all()
        assert (Vectors.open(path).rows(["w149", "w0", "w64"]) == values[[149, 0, 64]]).all()


def test_a_line_without_an_end_is_not_read_for_ever(write, monkeypatch):
    path = write("a 0.5\n" + "b" * 5000)
    monkeypatch.setattr(vector_files, "CHUNK", 100)
    monkeypatch.setattr(vector_files, "_LONGEST_LINE", 1000)
    for read in (lambda: Vectors.open(path).matrix, lambda: Vectors.open(path).rows(["a"])):
        with pytest.raises(DataError, match="no text of word vectors"):
            read()


def test_only_rows_that_are_asked_for_are_parsed(write):
    path = write("a 0.1 0.2\nb broken 0.2\nc 0.5 0.6\n")
    assert (
        Vectors.open(path).match(["c", "a", "x"]).vectors.tolist()
        == float32([[0.5, 0.6], [0.1, 0.2], [0, 0]]).tolist()
    )
    with pytest.raises(DataError, match=r'vectors.txt:2: "broken" is not a number'):
        Vectors.open(path).rows(["b"])


def test_every_form_of_file_gives_the_same_vectors(write):
    rows = [(word, values) for word, values in [("the", [0.5, -0.25]), (". . .", [1, 2]), ("Ä", [3, 4])]]
    text = "".join(f"{word} {' '.join(map(str, values))}\n" for word, values in rows)
    raw = [(word.encode(), values) for word, values in rows if " " not in word]
    forms = {
        "glove.txt": text,
        "glove.txt.gz": gzip.compress(text.encode(), mtime=0),
        "word2vec.txt": f"3 2\n{text}",
        "marked.txt": f"\ufeff{text}",
        "fasttext.vec": f"3 2\n{text}".replace("\n", " \n"),
    }
    for name, content in forms.items():
        opened = Vectors.open(write(content, name))
        assert opened.words == ["the", ". . .", "Ä"], name
        assert opened.matrix.tolist() == [values for _, values in rows], name
    for end in (b"", b"\n"):
        for name, content in (
            ("w.bin", binary(raw, 2, end)),
            ("w.bin.gz", gzip.compress(binary(raw, 2, end), mtime=0)),
        ):
            opened = Vectors.open(write(content, name))
            assert opened.words == ["the", "Ä"]
            assert opened.rows(["Ä", "the"]).tolist() == [[3, 4], [0.5, -0.25]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("a\nb\n", "vectors.txt:1: no word vectors"),
        ("3 2\na 1 2\nb 3 4\n", 'vectors.txt:1: the header says 3 words, the file has 2; .* header="skip"'),
        ("1 2\na 1 2\nb 3 4\n", "vectors.txt:1: the header says 1 words, the file has 2"),
        ("2 3\na 1 2\nb 3 4\n", "vectors.txt:1: the header says 3 numbers a word, the lines below it have 2"),
        ("a 1 2\nb 3\nc 1 2\n", "vectors.txt:2: a word and 2 numbers are expected, found 2 fields"),
        ("a 1 2\nb 1 2\nc 3 4 5\n", "vectors.txt:3: more than 2 numbers, or a word that ends in the number 3"),
        ("a 1 2\nb 1 2\nc 1 x\n", 'vectors.txt:3: "x" is not a number; .* this is number 2'),
        ("a 1 2\nb  1\nc 1 2\n", "vectors.txt:2: a word and 2 numbers are expected, found 2 fields"),
        (b"a 1 2\nb\xe9 3 4\n", "vectors.txt:2: byte 0xe9 in the word .* not UTF-8; .*undecodable"),
        (b"PK\x03\x04", "zip archive; unpack it"),
        (gzip.compress(b"a 1 2\n" * 9, mtime=0)[:-9], "gzip data is damaged or cut short"),
        (binary([(b"a", [1.5, 2])], 2)[:-4], "the header says 1 words, the file has 0"),
        (binary([(b"a", [1.5, 2])], 2) + b"b more", "6 bytes follow|bytes follow the 1 words"),
        (binary([(b"", [1.5, 2])], 2), "no word before the numbers of entry 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(content, told, write):
    path = write(content)
    with pytest.raises(DataError, match=told):
        _ = Vectors.open(path).matrix


def test_a_header_is_believed_skipped_or_a_vector(write):
    path = write("9 2\na 1 2\nb 3 4\n")
    assert Vectors.open(path, header="skip").words == ["a", "b"]
    path = write("9 2\n8 3\n7 4\n")
    assert Vectors.open(path).words == ["9", "8", "7"]
    assert Vectors.open(path, header="none").matrix.tolist() == [[2], [3], [4]]


def test_words_that_are_not_utf8_can_be_taken_with_a_mark(write):
    assert Vectors.open(write(b"a 1 2\nb\xe9 3 4\n"), undecodable="replace").words == ["a", "b\ufffd"]


@pytest.mark.parametrize(
    ("name", "words", "size"),
    [("glove.6B.50d.top5k.txt.gz", 5050, 50), ("wiki-news-300d.top1k.vec.gz", 999, 300)],
)
def test_published_excerpts_open(name, words, size, real_data):
    path = real_data / "word_vectors" / name
    opened = Vectors.open(path)
    assert opened.matrix.shape == (words, size)
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]
    assert opened.words == [line.split(" ")[0] for line in lines]
    assert same_bits(opened.matrix[::20], float32([line.split(" ")[1 : size + 1] for line in lines[::20]]))
