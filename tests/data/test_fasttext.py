"""Models of fastText: hashes as published, vectors as its documentation defines them, damage told."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqloom.data.tokens import ngram_hashes
from seqloom.data.vectors import Vectors, Way, convert
from seqloom.errors import DataError

WORDS, BUCKETS, SIZE = ["</s>", "hond", "één"], 11, 3
MATRIX = np.random.default_rng(1).normal(size=(len(WORDS) + BUCKETS, SIZE)).astype("<f4")
ARGUMENTS = {"dim": SIZE, "ws": 5, "epoch": 5, "minCount": 1, "neg": 5, "wordNgrams": 1, "loss": 2, "model": 2}
ARGUMENTS |= {"bucket": BUCKETS, "minn": 3, "maxn": 4, "lrUpdateRate": 100}


def packed(version=12, words=WORDS, labels=(), pruned=-1, quantised=False, matrix=MATRIX, **arguments) -> bytes:
    """A model as fastText lays it out; the output matrix behind is left out, for vectors do not depend on it."""
    head = struct.pack("<14i", 793712314, version, *(ARGUMENTS | arguments).values()) + struct.pack("<d", 1e-4)
    sizes = struct.pack("<iiiqq", len(words) + len(labels), len(words), len(labels), 99, pruned)
    entries = b"".join(
        entry.encode() + b"\0" + struct.pack("<qb", 7, kind)
        for kind, each in enumerate((words, labels))
        for entry in each
    )
    return head + sizes + entries + struct.pack("<?qq", quantised, *matrix.shape) + matrix.tobytes()


@pytest.fixture
def model(tmp_path) -> Callable[..., Path]:
    def written(content: bytes | None = None, **keys) -> Path:
        (tmp_path / "model.bin").write_bytes(packed(**keys) if content is None else content)
        return tmp_path / "model.bin"

    return written


def hashed(gram: str) -> int:
    """FNV-1a of signed bytes, by numpy's rules of widening."""
    value = np.uint32(2166136261)
    with np.errstate(over="ignore"):
        for byte in np.frombuffer(gram.encode(), np.int8):
            value = (value ^ byte.astype(np.uint32)) * np.uint32(16777619)
    return int(value)


def mean(grams: list[str], *rows: int) -> np.ndarray:
    rows = (*rows, *(len(WORDS) + hashed(gram) % BUCKETS for gram in grams))
    return np.mean([MATRIX[row] for row in rows], 0)


HOND = ["<ho", "<hon", "hon", "hond", "ond", "ond>", "nd>"]
EEN = ["<éé", "<één", "één", "één>", "én>"]
KAT = ["<ka", "<kat", "kat", "kat>", "at>"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", 0xE40C292C),  # FNV-1a's own test vectors: below 128 the hashes are the same
        ("foobar", 0xBF9CF968),
        ("команда", 1725507386),  # fastText's, as gensim's tests list them
        ("маленьких", 3011324125),
        ("друзей", 737001801),
    ],
)
def test_hashes_are_those_published(text, expected):
    assert hashed(text) == expected
    length = len(text)
    inner = ngram_hashes(text.encode(), length, length)
    assert expected in inner
    assert len(inner) == (1 if length == 1 else 3)


def test_ngrams_are_of_characters_between_marks():
    assert ngram_hashes(b"hond", 3, 4) == [hashed(gram) for gram in HOND]
    assert ngram_hashes("één".encode(), 3, 4) == [hashed(gram) for gram in EEN]
    assert ngram_hashes(b"ab", 1, 2) == [hashed(gram) for gram in ["<a", "a", "ab", "b", "b>"]]
    assert ngram_hashes(b"ab", 0, 0) == []


def test_a_word_is_the_mean_of_its_row_and_its_ngrams(model):
    vectors = Vectors.open(model(labels=["__label__x"]))
    assert (vectors.words, vectors.size) == (WORDS, SIZE)
    expected = [MATRIX[0], mean(HOND, 1), mean(EEN, 2)]
    np.testing.assert_allclose(vectors.rows(WORDS), expected, rtol=1e-5)
    np.testing.assert_allclose(vectors.matrix, expected, rtol=1e-5)


def test_without_ngrams_a_word_is_its_row(model):
    vectors = Vectors.open(model(minn=0, maxn=0, bucket=0, matrix=MATRIX[:3]))
    assert np.array_equal(vectors.rows(WORDS), MATRIX[:3])
    assert vectors.match(["kat"]).coverage.missing == ("kat",)


@pytest.mark.parametrize("whole", [False, True])
def test_a_word_that_is_not_there_is_made_of_its_ngrams(model, whole):
    vectors = Vectors.open(model())
    if whole:
        assert len(vectors.matrix) == len(WORDS)
    match = vectors.match(["kat", "Hond", "", "één"])
    assert match.ways.tolist() == [Way.SPELT, Way.LOWER, Way.MISSING, Way.EXACT]
    np.testing.assert_allclose(match.vectors[0], mean(KAT), rtol=1e-5)
    assert not match.vectors[2].any()
    assert match.coverage.words == 4
    assert "1 from their n-grams; 1 missing" in str(match.coverage)
    assert vectors.match(["kat"], loosest="exact").coverage.missing == ("kat",)
    with pytest.raises(DataError, match='"kat" has no vector'):
        vectors.rows(["kat"])


def test_made_words_count_as_the_rarest(model):
    match = Vectors.open(model()).match(["kat", "één", ""])
    assert match.ranks.tolist() == [len(WORDS), 2, -1]
    np.testing.assert_allclose(match.filled("rare")[2], match.vectors[:2].mean(0), rtol=1e-5)


def test_a_store_has_the_models_words_and_those_asked_for(model, tmp_path):
    assert convert(model(), tmp_path / "all").words == len(WORDS)
    convert(model(), tmp_path / "some", only=["kat", "Hond"])
    store = Vectors.open(tmp_path / "some")
    assert sorted(store.words) == ["hond", "kat"]
    np.testing.assert_allclose(store.rows(["hond", "kat"]), [mean(HOND, 1), mean(KAT)], rtol=1e-5)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"version": 11}, r"version 11; 12 is read"),
        ({"quantised": True}, "quantised"),
        ({"pruned": 0}, "pruned"),
        ({"bucket": 12}, r"matrix is 14 x 3, for 3 words and 12 buckets"),
        ({"dim": 4}, r"matrix is 14 x 3, .* of 4 numbers"),
        ({"dim": 0}, "vectors of 0 numbers"),
        ({"words": []}, "0 entries should be 0 words"),
        ({"words": ["a\nb", "c", "d"]}, "entry 1 is neither a word nor a label"),
    ],
)
def test_what_cannot_be_read_is_refused(model, keys, fault):
    with pytest.raises(DataError, match=fault):
        Vectors.open(model(**keys))


@pytest.mark.parametrize("length", [4, 30, 70, 100, 110, 130, 150, -1])
def test_a_file_cut_short_is_refused(model, length):
    with pytest.raises(DataError, match="no whole fastText model"):
        Vectors.open(model(packed()[:length]))


def test_a_packed_model_is_to_be_unpacked(model):
    with pytest.raises(DataError, match="a packed fastText model; unpack it"):
        Vectors.open(model(gzip.compress(packed())))


def test_a_word_that_is_not_text_is_refused_or_replaced(model):
    content = packed().replace(b"hond\0", b"ho\xffd\0")
    with pytest.raises(DataError, match="0xff"):
        Vectors.open(model(content)).match(["x"])
    assert Vectors.open(model(content), undecodable="replace").words[1] == "ho\ufffdd"
