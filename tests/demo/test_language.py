import re
from collections import Counter

import pytest

from seqloom.demo import language
from seqloom.demo.language import EXAMPLES, FOLDER, RELATIVE, SPLITS, TARGET, Speaker
from seqloom.demo.lexicon import CLASSES, PARADIGMS, Dice, Stock, inflected, spoken

CONTENT = {"NOUN", "VERB", "ADJ", "ADV", "PROPN", "NUM"}
PARTS = CONTENT | {"PRON", "DET", "ADP", "CCONJ", "SCONJ", "AUX", "PART", "PUNCT"}
NAMES = {"O", *(f"{place}-{kind}" for place in "BI" for kind in ("PER", "LOC", "ORG"))}


def read(name):
    """Sentences of rows, read with nothing of the library."""
    header, text = (FOLDER / f"{name}.conll").read_text(encoding="utf-8").split("\n", 1)
    assert header.startswith("# ")
    blocks = text.removesuffix("\n\n").split("\n\n")
    return [[tuple(line.split("\t")) for line in block.split("\n")] for block in blocks]


def words(name):
    return [form.lower() for sentence in read(name) for form, _, _ in sentence]


def named(name):
    return {(form, tag[2:]) for sentence in read(name) for form, _, tag in sentence if tag != "O"}


EVERY = [f"{one}-{split}" for one, splits in SPLITS.items() for split in splits]


def test_making_the_corpus_anew_gives_the_shipped_bytes(tmp_path):
    language.write(tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in FOLDER.glob("*.conll")}
    assert set(made) == {f"{name}.conll" for name in EVERY}
    assert sum(map(len, made.values())) < 300_000


def test_dice_are_the_published_generator():
    dice = Dice("any")
    dice.state = 1234567
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [dice.below(2**64) for _ in published] == published


def test_another_seed_says_other_things_in_the_same_language():
    assert Speaker(TARGET).sentence() == Speaker(TARGET, 1).sentence() != Speaker(TARGET, 2).sentence()


def test_ranks_are_drawn_by_zipfs_law():
    dice, stock = Dice("zipf"), Stock(["a", "b", "c"], flat=1)
    drawn = Counter(stock.draw(dice) for _ in range(11_000))
    assert [drawn[item] for item in "abc"] == pytest.approx([6000, 3000, 2000], rel=0.06)


@pytest.mark.parametrize("name", EVERY)
def test_a_file_has_its_sentences_and_well_formed_columns(name):
    one, split = name.split("-")
    sentences = read(name)
    assert len(sentences) == SPLITS[one][split]
    assert all(4 <= len(sentence) <= 20 for sentence in sentences)
    for sentence in sentences:
        before = "O"
        for form, part, tag in sentence:
            assert form == form.strip() != ""
            assert part in PARTS
            assert tag in NAMES
            assert tag[0] != "I" or before[1:] == tag[1:]
            before = tag


@pytest.mark.parametrize("one", SPLITS)
def test_training_shows_every_label_and_no_sentence_occurs_twice(one):
    sentences = [tuple(sentence) for split in SPLITS[one] for sentence in read(f"{one}-{split}")]
    assert len(set(sentences)) == len(sentences)
    rows = [row for sentence in read(f"{one}-train") for row in sentence]
    assert {part for _, part, _ in rows} == PARTS
    assert {tag for _, _, tag in rows} == NAMES


def test_half_of_the_targets_test_words_and_most_of_its_names_are_new():
    known, test = set(words(f"{TARGET}-train")), words(f"{TARGET}-test")
    assert 0.45 < sum(word not in known for word in test) / len(test) < 0.6
    names, trained = named(f"{TARGET}-test"), named(f"{TARGET}-train")
    assert len(names - trained) / len(names) > 0.8


def test_relatives_share_letters_and_affixes_but_few_words():
    relative, target = set(words(f"{RELATIVE}-train")), set(words(f"{TARGET}-test"))
    assert len(target & relative) / len(target) < 0.25

    def pieces(forms):
        return {piece for form in forms for piece in re.findall(r"(?=(\w{3}))", form)}

    assert len(pieces(target) & pieces(relative)) / len(pieces(target)) > 0.6


def test_frequencies_have_a_long_tail():
    counts = Counter(words(f"{RELATIVE}-train"))
    assert sum(count == 1 for count in counts.values()) / len(counts) > 0.5
    assert sum(count for _, count in counts.most_common(50)) / counts.total() > 0.35


def test_some_forms_have_two_parts_of_speech():
    parts = {}
    for sentence in read(f"{RELATIVE}-train"):
        for form, part, _ in sentence[1:]:
            parts.setdefault(form, set()).add(part)
    assert sum({"NOUN", "VERB"} <= found for found in parts.values()) >= 5
    assert sum({"ADJ", "ADV"} <= found for found in parts.values()) >= 5


def test_examples_are_of_the_language_and_their_names_are_new():
    core = {
        spoken(TARGET, inflected(name, form, stem))
        for name, kind in CLASSES.items()
        for stem in kind.core
        for form in PARADIGMS[kind.paradigm]
    }
    seen = {form for name in EVERY for form, _ in named(name)}
    for sentence, _ in EXAMPLES:
        spelt = sentence.split()
        assert {word for word in spelt if word[0].islower()} <= core
        assert {word for word in spelt if word[0].isupper()} & seen <= {"Ko", "Gilde", "Lage"}


def test_languages_change_one_ancestor():
    forms = {one: spoken(one, inflected("noun", "s.acc", "skoma")) for one in SPLITS}
    assert forms == {RELATIVE: "skomam", TARGET: "skomom"}
    assert spoken(RELATIVE, "kirta") == "chirta"
    assert spoken(TARGET, "patina") == "fädine"
