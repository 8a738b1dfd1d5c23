"""A linear-chain conditional random field over label sequences."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.errors import DataError
from seqloom.nn import crf_search
from seqloom.nn.crf_likelihood import layout, log_partition, negative_log_likelihood, score
from seqloom.nn.crf_search import Path

_PREFIXES = {"bio": ("B", "I"), "bioes": ("B", "I", "E", "S")}
_START, _END = ("start", ""), ("end", "")


def allowed_transitions(labels: Sequence[str], scheme: Literal["bio", "bioes"]) -> Tensor:
    """Which label may follow which, so that every span is whole: a boolean (labels + 2, labels + 2) as [to, from].

    The last two rows and columns are the start and the end. A label without a hyphen is outside every span.

    Raises:
        DataError: a label's prefix is none of the scheme's.
    """
    states = [*(_state(label, scheme) for label in labels), _START, _END]
    return torch.tensor([[_follows(current, previous, scheme) for previous in states] for current in states])


def _state(label: str, scheme: str) -> tuple[str, str]:
    prefix, hyphen, kind = label.partition("-")
    if not hyphen:
        return "O", ""
    if prefix not in _PREFIXES[scheme]:
        prefixes = ", ".join(f"{letter}-" for letter in _PREFIXES[scheme])
        raise DataError(f'the label "{label}" is not one of the scheme "{scheme}", which has O, {prefixes}')
    return prefix, kind


def _follows(current: tuple[str, str], previous: tuple[str, str], scheme: str) -> bool:
    if current == _START or previous == _END:
        return False
    begun = previous[0] in ("B", "I")
    if current[0] in ("I", "E"):
        return begun and current[1] == previous[1]
    return scheme == "bio" or not begun


class LinearChainCRF(nn.Module):
    """A linear-chain conditional random field (Lafferty et al. 2001; as in Lample et al. 2016, section 2.2).

    A label sequence scores the sum of its emissions and of its transitions A[to, from], from a start and to an end.
    Throughout: emissions (batch, time, labels), lengths (batch,) on the CPU, at least 1; what lies past a sentence's
    end is never used, whatever it is. `transitions` is (labels + 2, labels + 2); `allowed`, of the same shape (see
    `allowed_transitions`), holds in decoding, and with `constrain_training` in the loss as well.
    """

    forbidden: Tensor | None

    def __init__(self, labels: int, allowed: Tensor | None = None, constrain_training: bool = False) -> None:
        super().__init__()
        self.labels = labels
        self.constrain_training = constrain_training
        self.transitions = nn.Parameter(torch.empty(labels + 2, labels + 2))
        self.register_buffer("forbidden", None if allowed is None else ~allowed, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the transitions from N(0, 1); those into the start and out of the end, which nothing uses, are -100."""
        with torch.no_grad():
            self.transitions.normal_()
            self.transitions[self.labels] = -100
            self.transitions[:, self.labels + 1] = -100

    def extra_repr(self) -> str:
        """The number of labels, and where constraints hold."""
        where = "training and decoding" if self.constrain_training else "decoding"
        return f"{self.labels}" if self.forbidden is None else f"{self.labels}, constrained in {where}"

    def forward(self, emissions: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
        """The negative log-likelihood (batch,) of `labels` (batch, time); infinite where they are forbidden.

        A negative label is unknown: the likelihood is then that of all sequences which agree with the known ones
        (Tsuboi et al. 2008). It can be differentiated once.

        Raises:
            ValueError: a length is below 1 or above `time`, or a label too large.
        """
        places = layout(lengths, emissions.size(1), emissions.device)
        moves = self._moves(self.constrain_training)
        return negative_log_likelihood(emissions, moves, labels, places).to(moves.dtype)

    def log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The log of the summed exponentials of the scores of all sequences that the loss knows: (batch,)."""
        places = layout(lengths, emissions.size(1), emissions.device)
        moves = self._moves(self.constrain_training)
        return log_partition(emissions, moves, places).to(moves.dtype)

    def score(self, emissions: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
        """The scores (batch,) of `labels` (batch, time); what is unknown is summed over as in `log_partition`."""
        places = layout(lengths, emissions.size(1), emissions.device)
        moves = self._moves(self.constrain_training)
        return score(emissions, moves, labels, places).to(moves.dtype)

    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Each token's label probabilities (batch, time, labels) over all allowed sequences; 0 past the end."""
        with torch.inference_mode(False), torch.enable_grad():
            scores = emissions.detach().clone().requires_grad_()
            places = layout(lengths, emissions.size(1), emissions.device)
            total = log_partition(scores, self._moves(True).detach(), places).sum()
            return torch.autograd.grad(total, scores)[0]

    def viterbi(self, emissions: Tensor, lengths: Tensor) -> list[list[int]]:
        """Each sentence's best label sequence."""
        return [path.labels for path in self.decode(emissions, lengths)]

    def decode(self, emissions: Tensor, lengths: Tensor) -> list[Path]:
        """Each sentence's best label sequence with its score."""
        return crf_search.viterbi(*self._arrays(emissions), lengths.numpy())

    def n_best(self, emissions: Tensor, lengths: Tensor, count: int) -> list[list[Path]]:
        """Each sentence's `count` best allowed sequences with their scores, best first; fewer where no more exist."""
        return crf_search.n_best(*self._arrays(emissions), lengths.numpy(), count)

    def _moves(self, constrained: bool) -> Tensor:
        if self.forbidden is None or not constrained:
            return self.transitions
        return self.transitions.masked_fill(self.forbidden, -torch.inf)

    def _arrays(self, emissions: Tensor) -> tuple[crf_search.Floats, crf_search.Floats]:
        moves = self._moves(True).detach().cpu()
        return emissions.detach().to("cpu", moves.dtype).numpy(), moves.numpy()
