from itertools import product

import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.nn.beam import Search, beam_search
from seqloom.nn.conditional import ConditionalDecoder
from seqloom.nn.decoder import DecoderWriter
from seqloom.nn.gated import run_gated

WORDS, START, END = 5, 1, 2
LENGTHS = torch.tensor([3, 5, 1, 3])
CELLS = pytest.mark.parametrize("cell", ["gru", "lstm"])


def decoder(**settings: object) -> ConditionalDecoder:
    torch.manual_seed(1)
    made = ConditionalDecoder(WORDS, 4, 6, 6, **settings)
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -1, 1)
    return made.eval()


def plain(one: ConditionalDecoder, words: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """The states by torch's own layers, the vector beside each word."""
    _, state = one.start(vectors)
    inputs = torch.cat([one.words(words), vectors.unsqueeze(1).expand(-1, words.shape[1], -1)], 2)
    for index, layer in enumerate(state.layers):
        own = getattr(one, f"layer{index}")
        kind = torch.nn.GRU if one.cell == "gru" else torch.nn.LSTM
        theirs = kind(own.size, own.hidden, batch_first=True)
        start = tuple(part.unsqueeze(0) for part in layer)
        weights = dict(zip(dict(theirs.named_parameters()), own.weights, strict=True))
        inputs, _ = torch.func.functional_call(
            theirs, weights, (inputs, start if len(start) == 2 else start[0])
        )
    return inputs


def gradients(one: ConditionalDecoder, states: torch.Tensor, vectors: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(2)
    loss = (states * torch.randn(states.shape)).sum()
    wanted = [each for name, each in one.named_parameters() if not name.startswith("output")]
    return list(torch.autograd.grad(loss, [*wanted, vectors]))


VARIANTS = [
    {"cell": cell, "layers": layers, "bridge": bridge}
    for cell, layers, bridge in product(["gru", "lstm"], [1, 2], ["linear", "copy"])
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_a_packed_pass_is_torchs_own_with_the_vector_beside_each_word(settings):
    one = decoder(**settings)
    words = torch.randint(0, WORDS, (len(LENGTHS), 5))
    vectors = torch.randn(len(LENGTHS), 6, requires_grad=True)
    past = torch.arange(5) >= LENGTHS.unsqueeze(1)
    expected = plain(one, words, vectors).masked_fill(past.unsqueeze(2), 0)
    found = one(words, *one.start(vectors), LENGTHS)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(gradients(one, found, vectors), gradients(one, expected, vectors), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_words_at_once_are_words_one_by_one(settings):
    one = decoder(**settings)
    words, vectors = torch.randint(0, WORDS, (3, 5)), torch.randn(3, 6)
    condition, state = one.start(vectors)
    states = one(words, condition, state)
    for place in range(5):
        found, looked, state = one.step(words[:, place], condition, state)
        torch.testing.assert_close(states[:, place], found)
        assert looked.shape == (3, 0)


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_the_way_for_gpus_gives_the_same(settings):
    one = decoder(**settings)
    words, vectors = torch.randint(0, WORDS, (len(LENGTHS), 5)), torch.randn(len(LENGTHS), 6)
    torch.testing.assert_close(
        one._on_gpu(words, *one.start(vectors), LENGTHS), one(words, *one.start(vectors), LENGTHS)
    )


@CELLS
def test_gradients_are_those_of_finite_differences(cell):
    torch.manual_seed(1)
    many = 3 if cell == "gru" else 4
    shapes = [(many * 2, 6), (many * 2, 3), (many * 2, 2), (many * 2,), *[(2, 3)] * (many - 2)]
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(
        lambda gates, constant, weight, bias, *state: run_gated(
            cell, gates, constant, weight, bias, state, [3, 2, 1]
        ),
        given,
    )


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_sentences_of_a_batch_are_searched_as_if_alone(settings):
    one, search, limits = decoder(**settings), Search(3, 0.5), torch.tensor([8, 4, 6])
    vectors = torch.randn(3, 6)
    found = beam_search(DecoderWriter(one, *one.start(vectors)), limits, search, start=START, end=END)
    for row, hypotheses in enumerate(found):
        own = DecoderWriter(one, *one.start(vectors[row : row + 1]))
        (expected,) = beam_search(own, limits[row : row + 1], search, start=START, end=END)
        for ours, theirs in zip(hypotheses, expected, strict=True):
            assert (ours.words, ours.finished) == (theirs.words, theirs.finished)
            assert ours.score == pytest.approx(theirs.score, abs=1e-4)


@CELLS
def test_half_precision_trains_every_weight(cell):
    one = decoder(cell=cell, layers=2).train()
    words = torch.randint(0, WORDS, (len(LENGTHS), 5))
    with torch.autocast("cpu", torch.bfloat16):
        states = one(words, *one.start(torch.randn(len(LENGTHS), 6)))
        one.loss(states.flatten(0, 1), words.flatten()).backward()
    assert [name for name, each in one.named_parameters() if each.grad is None or not each.grad.any()] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 0}, "at least 1 layer"),
        ({"tied": True}, "words have 4 numbers, the decoder's states 6"),
        ({"bridge": "copy", "hidden": 3}, "bridge: copy: the encoder's states have 6 numbers, the decoder's 3"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings, message):
    keys = {"words": WORDS, "size": 4, "hidden": 6, "vector": 6} | settings
    with pytest.raises(ConfigError, match=message):
        ConditionalDecoder(**keys)
