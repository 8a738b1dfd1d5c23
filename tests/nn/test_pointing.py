import pytest
import torch

from seqloom.nn.pointing import DynamicPointer, HighwayMaxout, Pointing, best_spans

LENGTHS = torch.tensor([6, 1, 4])


def pointer(**options):
    torch.manual_seed(4)
    module = DynamicPointer(4, 3, pieces=2, **options).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=1.5)
    states = torch.randn(3, 6, 4, dtype=torch.float64)
    return module, states.masked_fill(torch.arange(6)[:, None] >= LENGTHS[:, None, None], 0)


def rated(network: HighwayMaxout, u, h, start, end):
    """The score of one position, equations 9 to 13 word for word."""
    hidden, pieces = network.shape
    joined = torch.cat([network.position.weight, network.context.weight], 1)
    maxout = lambda weight, bias, x: (weight @ x + bias).view(-1, pieces).amax(1)  # noqa: E731
    r = torch.tanh(network.supposed.weight @ torch.cat([h, start, end]))
    first = maxout(joined, network.position.bias, torch.cat([u, r]))
    second = maxout(network.second.linear.weight, network.second.linear.bias, first)
    third = network.scorer.linear
    assert first.shape == second.shape == (hidden,)
    return maxout(third.weight, third.bias, torch.cat([first, second])).item()


def by_the_paper(module, states, begin, end_sees):
    """Starts and ends of one text, by the paper's loop."""
    cell = torch.nn.LSTMCell(8, 3, dtype=torch.float64)
    cell.load_state_dict({name: one for name, one in module.recurrence.state_dict().items()})
    s, e = 0, len(states) - 1 if begin == "edges" else 0
    carried, found = None, []
    for _ in range(module.iterations):
        carried = cell(torch.cat([states[s], states[e]])[None], carried)
        h = carried[0][0]
        starts = [rated(module.start, u, h, states[s], states[e]) for u in states]
        new = max(range(len(states)), key=starts.__getitem__)
        seen = new if end_sees == "new" else s
        ends = [rated(module.end, u, h, states[seen], states[e]) for u in states]
        s, e = new, max(range(len(states)), key=ends.__getitem__)
        found.append((starts, ends, s, e))
    return found


@pytest.mark.parametrize("begin", ["edges", "first"])
@pytest.mark.parametrize("end_sees", ["new", "old"])
def test_the_decoder_is_the_papers_and_padding_changes_nothing(begin, end_sees):
    module, states = pointer(begin=begin, end_sees=end_sees)
    with torch.no_grad():
        found = module(states, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        told = by_the_paper(module, states[row, :length], begin, end_sees)
        for iteration, (starts, ends, _, _) in enumerate(told):
            assert found.starts[iteration, row, :length].tolist() == pytest.approx(starts)
            assert found.ends[iteration, row, :length].tolist() == pytest.approx(ends)
        assert (found.starts[:, row, length:] == -torch.inf).all()
        spans = [(s, e) for _, _, s, e in told]
        settled = [i for i in range(1, 4) if spans[i] == spans[i - 1]]
        assert found.last[row] == (settled[0] if settled else 3)


def test_iterations_end_when_all_rows_are_settled_and_change_no_row():
    module, states = pointer(iterations=9)
    with torch.no_grad():
        whole, brief = module(states, LENGTHS), module(states, LENGTHS, whole=False)
    assert len(whole.starts) == 9 > len(brief.starts) == int(brief.last.max()) + 1
    assert torch.equal(whole.last, brief.last)
    for one, other in zip(whole.final(), brief.final(), strict=True):
        assert torch.equal(one, other)


def test_the_loss_runs_over_all_iterations_or_until_the_row_is_settled():
    scores = torch.randn(3, 2, 4, dtype=torch.float32)
    pointing = Pointing(scores, -scores, torch.tensor([1, 2]))
    each = -(scores.log_softmax(-1)[:, :, 1] + (-scores).log_softmax(-1)[:, :, 2])
    start, end = torch.tensor([1, 1]), torch.tensor([2, 2])
    torch.testing.assert_close(pointing.loss(start, end), each.sum(0))
    torch.testing.assert_close(pointing.loss(start, end, mean=True), each.mean(0))
    short = torch.stack([each[:2, 0].sum(), each[:, 1].sum()])
    torch.testing.assert_close(pointing.loss(start, end, until_settled=True), short)
    mean = pointing.loss(start, end, until_settled=True, mean=True)
    torch.testing.assert_close(mean, short / torch.tensor([2, 3]))
    assert pointing.loss(torch.tensor([-1, 1]), torch.tensor([-1, 2]))[0] == 0


def test_every_parameter_is_learnt_though_positions_past_the_end_are_barred():
    module, states = pointer()
    module(states, LENGTHS).loss(LENGTHS - 1, LENGTHS - 1).sum().backward()
    gradients = [one.grad for one in module.parameters()]
    assert all(one.any() and one.isfinite().all() for one in gradients)


def test_the_best_span_is_found_among_all_that_end_after_they_start():
    torch.manual_seed(0)
    start, end = torch.randn(20, 7), torch.randn(20, 7)
    start[0, 5:] = end[0, 5:] = -torch.inf
    starts, ends = best_spans(start, end)
    for row in range(20):
        sums = {(s, e): start[row, s] + end[row, e] for s in range(7) for e in range(s, 7)}
        assert (starts[row].item(), ends[row].item()) == max(sums, key=sums.__getitem__)
    assert best_spans(start, end, ordered=False)[0].tolist() == start.argmax(1).tolist()
    assert best_spans(start, end, ordered=False)[1].tolist() == end.argmax(1).tolist()
