from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError
from seqloom.nn.attention import GlobalAttention
from seqloom.nn.beam import Search, beam_search, top
from seqloom.nn.decoder import AttentionDecoder, DecoderWriter

WORDS, START, END = 5, 1, 2
SOURCE = torch.tensor([4, 2, 3])


def decoder(seed: int = 1, **settings: object) -> AttentionDecoder:
    torch.manual_seed(seed)
    made = AttentionDecoder(WORDS, 5, 6, 6, **settings)
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    return made.eval()


def begun(one: AttentionDecoder, seed: int = 1):
    torch.manual_seed(seed)
    memory = one.attention.remember(torch.randn(len(SOURCE), 4, 6), SOURCE)
    return memory, one.start(*torch.randn(2, one.layers, len(SOURCE), 6))


def alone(memory, state, row: int):
    return memory.select(torch.tensor([row])), state.select(torch.tensor([row]))


VARIANTS = [
    {"input_feeding": feeding, "scoring": scoring, "layers": layers, "tied": tied}
    for feeding, scoring, layers, tied in product(
        [True, False], ["general", "dot", "mlp"], [1, 2], [True, False]
    )
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_words_at_once_are_words_one_by_one(settings):
    one = decoder(**settings)
    memory, state = begun(one)
    words = torch.randint(0, WORDS, (len(SOURCE), 5))
    attended, weights, last = one(words, memory, state)
    gates = one.gates()
    for place in range(words.shape[1]):
        found, looked, state = one.step(words[:, place], memory, state, gates)
        torch.testing.assert_close(attended[:, place], found)
        torch.testing.assert_close(weights[:, place], looked)
    for ours, theirs in zip((*last.hidden, *last.cells), (*state.hidden, *state.cells), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("scoring", ["general", "dot", "mlp"])
def test_attention_sees_nothing_past_the_end(scoring):
    torch.manual_seed(1)
    attention = GlobalAttention(6, 6, scoring=scoring)
    states, queries = torch.randn(3, 4, 6), torch.randn(3, 2, 6)
    _, weights = attention(queries, attention.remember(states, SOURCE))
    assert torch.allclose(weights.sum(-1), torch.ones(3, 2))
    for row, length in enumerate(SOURCE):
        assert not weights[row, :, length:].any()
        short = attention.remember(states[row : row + 1, :length], SOURCE[row : row + 1])
        torch.testing.assert_close(
            attention(queries[row : row + 1], short)[1], weights[row : row + 1, :, :length]
        )


def test_scores_of_luongs_general_form():
    torch.manual_seed(1)
    attention = GlobalAttention(5, 6, 4)
    states, queries = torch.randn(1, 3, 6), torch.randn(1, 1, 5)
    found, weights = attention(queries, attention.remember(states, torch.tensor([3])))
    expected = (states[0] @ (attention.compare.weight @ queries[0, 0])).softmax(0)
    torch.testing.assert_close(weights[0, 0], expected)
    context = torch.cat([expected @ states[0], queries[0, 0]])
    torch.testing.assert_close(found[0, 0], torch.tanh(attention.combine.weight @ context))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="dot attention: queries have 5 numbers, states 6"):
        GlobalAttention(5, 6, scoring="dot")
    with pytest.raises(ConfigError, match="at least 1 layer"):
        AttentionDecoder(WORDS, 5, 6, 6, layers=0)


def every_text(one: AttentionDecoder, memory, state, longest: int) -> dict[tuple[int, ...], float]:
    """The log-probability of each text that ends within `longest` words, end symbol included."""
    others = [word for word in range(WORDS) if word != END]
    found = {}
    for length in range(longest):
        for text in product(others, repeat=length):
            words = torch.tensor([[START, *text]])
            scores = one.scores(one(words, memory, state)[0]).log_softmax(-1)[0]
            found[text] = float(scores[torch.arange(length + 1), torch.tensor([*text, END])].sum())
    return found


@pytest.mark.parametrize("length", [0.0, 1.0])
def test_a_beam_that_holds_all_finds_the_best_of_all(length):
    one = decoder()
    memory, state = begun(one)
    search = Search(beam=WORDS**3, length=length)
    with torch.no_grad():
        found = beam_search(
            DecoderWriter(one, memory, state), torch.tensor([3] * 3), search, start=START, end=END
        )
        for row, hypotheses in enumerate(found):
            texts = every_text(one, *alone(memory, state, row), 3)
            best = max(texts, key=lambda text: texts[text] / ((6 + len(text)) / 6) ** length)
            ended = next(each for each in hypotheses if each.finished)
            assert (tuple(ended.words), ended.score) == (best, pytest.approx(texts[best], abs=1e-4))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99), st.booleans(), st.sampled_from([0.0, 0.7]), st.sampled_from([0.0, 0.3]))
def test_sentences_of_a_batch_are_searched_as_if_alone(seed, feeding, length, coverage):
    one = decoder(seed, input_feeding=feeding)
    memory, state = begun(one, seed)
    search, limits = Search(3, length, coverage), torch.tensor([8, 4, 6])
    found = beam_search(DecoderWriter(one, memory, state), limits, search, start=START, end=END)
    for row, hypotheses in enumerate(found):
        own = DecoderWriter(one, *alone(memory, state, row))
        (expected,) = beam_search(own, limits[row : row + 1], search, start=START, end=END)
        for ours, theirs in zip(hypotheses, expected, strict=True):
            assert (ours.words, ours.finished) == (theirs.words, theirs.finished)
            assert ours.score == pytest.approx(theirs.score, abs=1e-4)
            assert len(ours.words) + ours.finished == len(ours.attention) <= limits[row]
            torch.testing.assert_close(ours.attention.sum(-1), torch.ones(len(ours.attention)))


def test_a_penalty_for_what_is_not_looked_at_changes_the_order():
    one = decoder()
    memory, state = begun(one)
    orders = []
    for coverage in (0.0, 20.0):
        search = Search(6, coverage=coverage)
        found = beam_search(
            DecoderWriter(one, memory, state), torch.tensor([5] * 3), search, start=START, end=END
        )
        orders.append([[each.words for each in hypotheses] for hypotheses in found])
    assert orders[0] != orders[1]


def test_a_word_that_was_never_looked_at_counts_however_small_its_weight():
    class Writes:
        """A word that is likelier and leaves the second one out, or one that looks at both; the third is padding."""

        def step(self, words):
            scores = torch.full((1, words.shape[1], WORDS), -30.0)
            scores[..., 3], scores[..., 4] = 0.2, 0.0
            scores[words != START] = torch.tensor([-30.0, -30.0, 0.0, -30.0, -30.0])
            both = (words == 4).unsqueeze(-1)
            return scores, torch.where(both, torch.tensor([0.5, 0.5, 0.0]), torch.tensor([1.0, 0.0, 0.0]))

        def follow(self, parents):
            pass

        keep = follow

    for coverage, words in ((0.0, 3), (1.0, 4)):
        (found,) = beam_search(Writes(), torch.tensor([4]), Search(2, coverage=coverage), start=START, end=END)
        assert found[0].words == [words]
        assert len(found) == 2


@pytest.mark.parametrize("feeding", [True, False])
def test_half_precision_trains_every_weight(feeding):
    one = decoder(input_feeding=feeding, layers=2).train()
    words = torch.randint(0, WORDS, (len(SOURCE), 5))
    with torch.autocast("cpu", torch.bfloat16):
        memory, state = begun(one)
        one.loss(one(words, memory, state)[0].flatten(0, 1), words.flatten()).backward()
    assert [name for name, each in one.named_parameters() if each.grad is None or not each.grad.any()] == []


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 5), st.integers(0, 999))
def test_the_best_words_are_found_block_by_block(words, count, seed):
    torch.manual_seed(seed)
    scores, count = torch.randn(2, 3, words), min(count, words)
    best, places = top(scores, count)
    assert torch.equal(best, scores.topk(count, -1).values)
    assert torch.equal(scores.gather(-1, places), best)
