from collections import Counter

import pytest
import torch
from torch.nn import functional

from seqloom.data.batch import Text
from seqloom.data.vocabulary import Vocabulary
from seqloom.embedders.sparse import Sparse
from seqloom.model.task import fit
from tests.model.test_build import EXAMPLES, assembled, task

TEXT = list("cabadabcaefgabcdhijkab")
COUNTS = Counter(TEXT)


def words(order="frequency"):
    return Vocabulary.fit({word: COUNTS[word] for word in TEXT}, order=order)


def embedder(known=None, **keys):
    torch.manual_seed(0)
    config = Sparse.Config(type="sparse", size=4, blocks=4, **{"density": 0.5} | keys)
    known = known or words(Sparse.indexes(config)[0].order)
    return Sparse(config, vocabularies={"words": known}), known


def longest(found, known):
    """The words with the longest vectors, and with the shortest."""
    lengths = (found.table.dense() != 0).sum(1).tolist()
    named = {end: {known[i] for i, one in enumerate(lengths) if one == end(lengths)} for end in (max, min)}
    return named[max], named[min]


def test_a_vocabulary_is_by_frequency_or_by_appearance_behind_its_special_symbols():
    assert words().symbols[:6] == ("<pad>", "<unk>", "a", "b", "c", "d")
    assert words("appearance").symbols[:6] == ("<pad>", "<unk>", "c", "a", "b", "d")
    assert words().pinned == 2
    few = Vocabulary.fit({word: COUNTS[word] for word in TEXT}, order="appearance", most=2)
    assert few.symbols[2:] == ("a", "b")
    assert Vocabulary(["a", "b"]).pinned == 0
    assert Vocabulary(["<pad>"]).pinned == 1


def test_orders_say_which_words_have_long_vectors():
    long, short = longest(*embedder())
    assert "a" in long
    assert {"<pad>", "<unk>"} <= short
    assert "a" in longest(*embedder(order="down"))[1]
    assert "k" in longest(*embedder(order="down"))[0]
    assert "k" in longest(*embedder(order="none"))[0]
    assert "c" in longest(*embedder(order="none"))[1]
    long, short = longest(*embedder(order="rand"))
    assert long == longest(*embedder(order="rand"))[0]
    assert {"<pad>", "<unk>"} <= short


def test_an_unknown_word_that_the_text_has_itself_has_a_long_vector():
    long, short = longest(*embedder(Vocabulary.fit(COUNTS | Counter({"<unk>": 9}))))
    assert "<unk>" in long
    assert "<pad>" in short


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("order", ["up", "rand"])
def test_scores_are_products_with_the_vectors_it_gives(rotated, order):
    found, known = embedder(rotated=rotated, order=order)
    if rotated:
        torch.nn.init.normal_(found.rotation)
    ids = torch.arange(len(known)).unsqueeze(0)
    vectors = found(Text({"words": ids}, torch.tensor([len(known)]))).squeeze(0)
    hidden = torch.randn(3, 4)
    assert found.scoring
    torch.testing.assert_close(found.scores(hidden), functional.linear(hidden, vectors))


def test_words_read_as_unknown_have_its_vector():
    found, known = embedder(dropout=0.99)
    ids = torch.full((1, 50), known.id("a"))
    vectors = found(Text({"words": ids}, torch.tensor([50])))
    unknown = found.table(torch.tensor([[1]]))[0, 0]
    assert (vectors[0] == unknown).all(-1).any()


def test_an_order_of_appearance_is_kept_in_a_vocabulary_that_a_part_of_another_model_brings():
    sparse = "{type: sparse, size: 4, blocks: 4, order: none}"
    text = f"tasks: {{ner: {task('{type: lstm, hidden: 5, input: ' + sparse + '}')}}}"
    tasks, vocabularies, _ = assembled(text)
    training = {"ner": tasks["ner"].from_examples(EXAMPLES)}
    carried = Vocabulary(["<pad>", "<unk>", "others"])
    assert fit(tasks, training, {"words": carried})["words"] is carried
    assert fit(tasks, training)["words"] == vocabularies["words"]
