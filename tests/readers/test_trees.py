import pytest

from seqloom.errors import DataError
from seqloom.readers.trees import Trees

TREES = "(3 (2 A) (4 (3 true) (4 delight)))\n\n(1 (2 A) (1 (0 -LRB-bore-RRB-) (2 -RRB-)))\n(2 A)\n"


@pytest.fixture
def read(tmp_path):
    def found(text=TREES, as_train=True, **keys):
        path = tmp_path / "train.txt"
        path.write_text(text)
        one = Trees(Trees.Config(**({"train": str(path)} if as_train else {}), **keys), ("text",))
        return [(" ".join(row["text"]), row["label"], row["line"]) for row in one.read(str(path))]

    return found


def test_a_sentence_has_the_label_of_its_root(read):
    assert read() == [("A true delight", "3", 1), ("A -LRB-bore-RRB- )", "1", 3), ("A", "2", 4)]


def test_phrases_of_the_training_file_are_rows_each_once(read, caplog):
    rows = [("A true delight", "3"), ("A", "2"), ("true delight", "4"), ("true", "3"), ("delight", "4")]
    assert [row[:2] for row in read(phrases=True)][:5] == rows
    assert [row[0] for row in read(phrases=True)].count("A") == 1
    assert "2 phrases that came before are left out" in caplog.text
    assert len(read(phrases=True, as_train=False)) == 3
    assert [row[0] for row in read(phrases=True, least=2)][:2] == ["A true delight", "true delight"]


def test_labels_are_joined_and_skipped(read):
    keys = {"skip": ["2"], "join": {"1": "neg", "0": "neg", "3": "pos", "4": "pos"}, "lower": True}
    assert read(**keys) == [("a true delight", "pos", 1), ("a -lrb-bore-rrb- )", "neg", 3)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("(3 (2 A) (4 delight)", "should be one tree"),
        ("(3 A))", r'a "\)" has no "\("'),
        ("(3 (2) (4 delight))", r"the phrase \(2\) has no word"),
        ("((2 A) (4 delight))", r'a label should follow "\(", found "\("'),
        ("(2 A) (4 delight)", "should be one tree"),
        ("(2 A) more", "should be one tree"),
        ("plain text", "should be one tree"),
    ],
)
def test_a_line_that_is_no_tree_is_told(read, line, message):
    with pytest.raises(DataError, match=rf"train.txt:2.*{message}"):
        read(f"(2 A)\n{line}\n")


def drawn(tmp_path, line, **keys):
    (tmp_path / "trees.txt").write_text(line + "\n")
    one = Trees(Trees.Config(target="tree", **keys), ("source",), ("target",))
    return [(" ".join(row["source"]), " ".join(row["target"])) for row in one.read(str(tmp_path / "trees.txt"))]


PENN = (
    "( (S (NP-SBJ-1 (DT The) (NN moth)) (VP (VBD was) (VP (VBN seen) (NP (-NONE- *-1))"
    " (PRN (-LRB- -LRB-) (RB twice) (-RRB- -RRB-)))) (. .)))"
)


def test_a_tree_is_a_text_of_brackets_without_functions_and_traces(tmp_path):
    words = "The moth was seen ( twice ) ."
    brackets = "(S (NP DT NN )NP (VP VBD (VP VBN (PRN -LRB- RB -RRB- )PRN )VP )VP . )S"
    assert drawn(tmp_path, PENN) == [(words, brackets)]
    unlike = brackets.replace(" DT NN ", " XX XX ").replace("VBD", "XX").replace("VBN", "XX")
    unlike = unlike.replace("-LRB- RB -RRB-", "XX XX XX").replace(" . ", " XX ")
    assert drawn(tmp_path, PENN, tags=False, lower=True) == [(words.lower(), unlike)]


def test_a_word_beside_phrases_has_no_place_in_a_tree_as_a_text(tmp_path, read):
    line = "(S (NP (DT the) dog) (VP (VBZ sits)))"
    told = r"trees.txt:1: the phrase \(NP\) has words beside its phrases; give each word a bracket with its tag"
    with pytest.raises(DataError, match=told):
        drawn(tmp_path, line)
    assert read(line) == [("the dog sits", "S", 1)]


def test_a_tree_of_traces_alone_is_left_out_and_told(tmp_path, caplog):
    assert drawn(tmp_path, f"( (S (NP (-NONE- *)) (VP (-NONE- *T*-1))))\n{PENN}")[0][0].startswith("The moth")
    assert "1 trees without a word are left out" in caplog.text


def test_a_deep_tree_is_written(tmp_path):
    ((words, brackets),) = drawn(tmp_path, "(X " * 5000 + "a" + ")" * 5000)
    assert (words, len(brackets.split())) == ("a", 2 * 4999 + 1)


def test_keys_about_labels_do_not_go_with_trees():
    with pytest.raises(ValueError, match="about labels"):
        Trees.Config(target="tree", skip=["2"])
