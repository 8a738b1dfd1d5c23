import pytest
import torch

from seqloom.nn.coattention import Coattention, coattention


@pytest.fixture
def texts():
    torch.manual_seed(1)
    shape = {"dtype": torch.float64}
    return (
        torch.randn(2, 4, 3, **shape),
        torch.tensor([4, 2]),
        torch.randn(2, 3, 3, **shape),
        torch.tensor([2, 3]),
    )


def test_what_is_attended_to_is_that_of_the_papers_equations(texts):
    found = coattention(*texts)
    for row, (document, m, question, n) in enumerate(zip(*texts, strict=True)):
        d, q = document[:m].T, question[:n].T  # columns are words, as in the paper
        affinity = d.T @ q
        c_q = d @ affinity.softmax(0)
        c_d = torch.cat([q, c_q]) @ affinity.T.softmax(0)
        torch.testing.assert_close(found[row, :m], c_d.T)


@pytest.mark.parametrize("sentinel", [False, True])
def test_padding_changes_nothing_and_the_sentinel_is_one_position_more(texts, sentinel):
    module = Coattention(3, 5, sentinel).double()
    document, lengths, question, question_lengths = texts
    found = module(*texts)
    assert found.shape == (2, 4 + sentinel, 10)
    assert module.out == 10
    for row, (m, n) in enumerate(zip(lengths.tolist(), question_lengths.tolist(), strict=True)):
        alone = module(
            document[row : row + 1, :m],
            lengths[row, None],
            question[row : row + 1, :n],
            question_lengths[row, None],
        )
        torch.testing.assert_close(found[row, : m + sentinel], alone[0])
        assert not found[row, m + sentinel :].any()


def test_a_text_that_fits_nothing_is_met_by_the_sentinels(texts):
    """With a sentinel far more alike than any word, every word of the document attends to it alone."""
    document, lengths, question, question_lengths = texts
    module = Coattention(3, 5).double()
    with torch.no_grad():
        module.project.weight.copy_(torch.eye(3))
        module.project.bias.zero_()
        module.question_sentinel.copy_(torch.tensor([50.0, 0, 0]))
    document = torch.cat([torch.full((2, 4, 1), 1000.0), document[..., 1:]], -1)
    before = module(document, lengths, torch.zeros_like(question), question_lengths)
    after = module(document, lengths, torch.full_like(question, -1), question_lengths)
    torch.testing.assert_close(before, after)


def test_every_parameter_is_learnt(texts):
    module = Coattention(3, 5).double()
    module(*texts).sum().backward()
    assert all(one.grad.any() for one in module.parameters())
