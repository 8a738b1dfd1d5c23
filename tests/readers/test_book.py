import pytest

from seqloom.readers.book import Book


def read(path, text, **keys):
    path.write_text(text)
    reader = Book(Book.Config(**keys), ("text",))
    return list(reader.read(str(path)))


def words(example):
    return {key: " ".join(one) if key != "line" else one for key, one in example.items()}


LINES = "one\ntwo\nthree\nfour\n\n\nA\nB\nC\n\nalone\n"


def test_a_sentence_stands_between_its_neighbours_of_one_document(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("seqloom.readers.book.notice", said.append)
    assert [words(one) for one in read(tmp_path / "book.txt", LINES)] == [
        {"text": "two", "previous": "one", "next": "three", "line": 2},
        {"text": "three", "previous": "two", "next": "four", "line": 3},
        {"text": "B", "previous": "A", "next": "C", "line": 8},
    ]
    assert ["1 documents of fewer than 3 sentences" in one for one in said] == [True]


def test_no_more_of_a_document_is_read_than_a_row_needs(tmp_path, monkeypatch):
    taken = []

    def counted(path):
        for number in range(1, 1000):
            taken.append(number)
            yield number, str(number)

    monkeypatch.setattr("seqloom.readers.book.lines", counted)
    rows = Book(Book.Config(), ("text",)).read("book.txt")
    assert words(next(rows)) == {"text": "2", "previous": "1", "next": "3", "line": 2}
    assert taken[-1] <= 4
    assert len(list(rows)) == 996


@pytest.mark.parametrize(("target", "expected"), [("next", "three four C"), ("previous", "one two A")])
def test_one_neighbour_is_the_target_of_a_source(tmp_path, target, expected):
    found = read(tmp_path / "book.txt", LINES, target=target)
    assert " ".join(" ".join(one["target"]) for one in found) == expected
    assert [one["source"] for one in found] == [["two"], ["three"], ["B"]]


def test_prose_is_cut_into_sentences_across_lines_and_paragraphs(tmp_path):
    text = "[A Book]\n\nIt rained. Nora\nwent home. Then\n\nshe slept.\nWell!\n"
    found = read(tmp_path / "book.txt", text, unit="prose", lower=True)
    assert [(" ".join(one["text"]), one["line"]) for one in found] == [
        ("it rained .", 3),
        ("nora went home .", 3),
        ("then", 4),
        ("she slept .", 6),
    ]
