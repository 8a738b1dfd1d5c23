"""Many small classifiers over the same vectors, trained side by side as one batched problem.

The classifiers are those of SentEval (Conneau and Kiela, "SentEval: An Evaluation Toolkit for Universal Sentence
Representations", 2018): each begins with the same weights, takes the batches that its seed gives it, and stops by its
own accuracy; so training them together gives what training one after another would.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from seqloom.config import unknown
from seqloom.errors import ConfigError
from seqloom.evaluation.transfer.folds import SEED, Fit

GATHERED = 1 << 21
"""Numbers of the vectors that one step takes up at a time: more would not stay in a processor's cache."""

OPTIMIZERS: Mapping[str, type[torch.optim.Optimizer]] = {
    "adadelta": torch.optim.Adadelta,
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "rmsprop": torch.optim.RMSprop,
}

Loss = Literal["mean", "sum"]


@dataclass(frozen=True)
class Perceptron:
    """How a classifier is trained; the defaults are those of SentEval's published results.

    Args:
        hidden: units of a hidden layer with a sigmoid; none for a linear classifier.
        optimizer: one of OPTIMIZERS, with torch's defaults.
        batch: rows a step.
        tenacity: how many checks without a better accuracy, over the whole training, are borne.
        epoch_size: passes over the rows between two checks.
        epochs: passes after which no more follow.
        dropout: of the hidden layer.
        loss: whether the rows of a batch are averaged or, as before PyTorch 0.4.1, added up.

    Raises:
        ConfigError: no such optimiser or loss.
    """

    hidden: int = 0
    optimizer: str = "adam"
    batch: int = 64
    tenacity: int = 5
    epoch_size: int = 4
    epochs: int = 200
    dropout: float = 0.0
    loss: Loss = "mean"

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(unknown("optimizer", self.optimizer, OPTIMIZERS))
        if self.loss not in get_args(Loss):
            raise ConfigError(unknown("loss", self.loss, get_args(Loss)))


class Lanes:
    """Perceptrons of equal shape, several penalties for each of several fits, that take their steps together.

    Every parameter is (fits, outputs, penalties, inputs): so one product serves all penalties of a fit, and classes lie
    apart in memory, along which exponentials are then taken at full width. Biases are a layer's last input.

    Args:
        inputs: numbers in a vector, the last of them a one.
        classes: how many.
        penalties: (fits, penalties) weight decay, as torch's optimisers take it.
        settings: how they are trained.
        seed: of the first weights and of dropout.
    """

    def __init__(
        self, inputs: int, classes: int, penalties: Tensor, settings: Perceptron, seed: int = SEED
    ) -> None:
        self.settings = settings
        self.decay = penalties[:, None, :, None]
        self.random = torch.Generator().manual_seed(seed)
        sizes = [inputs - 1, *([settings.hidden] if settings.hidden else []), classes]
        fits, kinds = penalties.shape
        self.parameters = [
            one[None, :, None].expand(fits, -1, kinds, -1).contiguous().requires_grad_()
            for one in first_weights(sizes, self.random)
        ]
        extra: dict[str, Any] = {"fused": True} if settings.optimizer in ("adam", "adagrad") else {}
        self.optimizer = OPTIMIZERS[settings.optimizer](self.parameters, **extra)

    def _mask(self, rows: int) -> Tensor | None:
        rate, hidden = self.settings.dropout, self.settings.hidden
        if not rate or not hidden:
            return None
        # Classifiers of one seed drop the same units, as they would one after another.
        kept = torch.empty(rows, hidden).bernoulli_(1 - rate, generator=self.random)
        return (kept / (1 - rate)).T[None, :, None]

    def step(self, vectors: Tensor, targets: Tensor, shares: Tensor) -> None:
        """Learn from one batch of each fit, by the cross-entropy.

        Args:
            vectors: (fits, rows, inputs).
            targets: (fits, classes, 1, rows), 1 for the class of a row and 0 for others.
            shares: (fits, rows) of each row in the loss; 0 for what only fills up.
        """
        scores = scored(self.parameters, vectors, self._mask(vectors.shape[1]))
        slopes = (scores.detach().softmax(1) - targets) * shares[:, None, None]
        gradients = torch.autograd.grad(scores, self.parameters, slopes)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.addcmul_(self.decay, parameter.detach())
        self.optimizer.step()

    def keep(self, fits: Tensor) -> None:
        """Go on with some of the fits only."""
        self.decay = self.decay[fits]
        for parameter in self.parameters:
            state = self.optimizer.state[parameter]
            state.update({name: one[fits] for name, one in state.items() if one.shape == parameter.shape})
            parameter.data = parameter.data[fits]
            parameter.grad = None


def first_weights(sizes: Sequence[int], random: torch.Generator) -> list[Tensor]:
    """Weights and biases (outputs, inputs + 1) of each layer, as torch's linear layers begin."""
    found = []
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(random.get_state())
        for inputs, outputs in pairwise(sizes):
            layer = nn.Linear(inputs, outputs)
            found.append(torch.cat([layer.weight.detach(), layer.bias.detach()[:, None]], 1))
        random.set_state(torch.get_rng_state())
    return found


def scored(parameters: Sequence[Tensor], vectors: Tensor, mask: Tensor | None = None) -> Tensor:
    """The scores (fits, classes, penalties, rows) of vectors (fits, rows, inputs); `mask` drops hidden units."""
    first, *rest = parameters
    fits, outputs, kinds, _ = first.shape
    found = torch.bmm(first.flatten(1, 2), vectors.mT).view(fits, outputs, kinds, -1)
    if not rest:
        return found
    hidden = (found if mask is None else found * mask).sigmoid()
    weight, bias = rest[0][..., :-1], rest[0][..., -1:]
    return torch.einsum("fcph,fhpr->fcpr", weight, hidden) + bias


def with_ones(vectors: Tensor) -> Tensor:
    """Vectors (rows, size) with a last input that is one: (rows, size + 1)."""
    return torch.cat([vectors, vectors.new_ones(len(vectors), 1)], 1)


@dataclass(frozen=True)
class Fitted:
    """Trained perceptrons: for each fit its `parameters`; the `accuracy` (fits, penalties) on its dev rows."""

    parameters: list[list[Tensor]]
    accuracy: np.ndarray

    def predicted(self, fit: int, vectors: Tensor) -> Tensor:
        """The classes (penalties, rows) that a fit's classifiers give to vectors (rows, size)."""
        return scored(self.parameters[fit], with_ones(vectors)[None])[0].max(0).indices


def fit(
    vectors: Tensor,
    labels: Tensor,
    fits: Sequence[Fit],
    penalties: np.ndarray,
    settings: Perceptron,
    seed: int = SEED,
) -> Fitted:
    """Train a classifier for every fit and penalty.

    Args:
        vectors: (rows, size), float32, of all rows.
        labels: (rows,) classes from 0.
        fits: which rows each learns from, and which stop it.
        penalties: (fits, penalties) weight decay.
        settings: how.
        seed: of the first weights and of dropout.
    """
    classes = int(labels.max()) + 1
    vectors = with_ones(vectors)
    found: list[list[Tensor]] = [[] for _ in fits]
    accuracy = np.zeros(penalties.shape)
    for group in _groups(fits, settings.batch, max(1, GATHERED // (settings.batch * vectors.shape[1]))):
        rows = torch.from_numpy(penalties[group]).float()
        lanes = Lanes(vectors.shape[1], classes, rows, settings, seed)
        course = _Course(vectors, labels, [fits[one] for one in group], lanes)
        course.run()
        accuracy[group] = course.best.numpy()
        for place, one in enumerate(group):
            found[one] = [kept[place : place + 1] for kept in course.kept]
    return Fitted(found, accuracy)


def _groups(fits: Sequence[Fit], batch: int, most: int) -> Iterator[list[int]]:
    """Fits that take as many steps a pass, at most so many together."""
    steps: dict[int, list[int]] = {}
    for place, one in enumerate(fits):
        steps.setdefault(math.ceil(len(one.train) / batch), []).append(place)
    for places in steps.values():
        for start in range(0, len(places), most):
            yield places[start : start + most]


class _Course:
    """The training of some lanes from their first step to the best state of each."""

    def __init__(self, vectors: Tensor, labels: Tensor, fits: Sequence[Fit], lanes: Lanes) -> None:
        self.vectors, self.labels, self.fits, self.lanes = vectors, labels, list(fits), lanes
        self.targets = nn.functional.one_hot(labels).float()
        self.dev = [torch.from_numpy(one.dev) for one in fits]
        self.places = torch.arange(len(fits))
        self.kept = [one.detach().clone() for one in lanes.parameters]
        self.best = torch.full((len(fits), lanes.decay.shape[2]), -1.0, dtype=torch.float64)
        self.failures = torch.zeros_like(self.best)

    def run(self) -> None:
        """Train until every classifier has stopped."""
        settings = self.lanes.settings
        for _ in range(0, settings.epochs + 1, settings.epoch_size):
            for _ in range(settings.epoch_size):
                self._pass()
            self._check()
            going = (self.failures <= settings.tenacity).any(1)[self.places]
            if not going.any():
                return
            if not going.all():
                self.lanes.keep(going)
                self.places = self.places[going]

    def _pass(self) -> None:
        batch = self.lanes.settings.batch
        going = [self.fits[one] for one in self.places.tolist()]
        orders = [one.train[one.random.permutation(len(one.train))] for one in going]
        longest = max(map(len, orders))
        rows = torch.from_numpy(np.stack([np.pad(one, (0, longest - len(one))) for one in orders]))
        there = torch.arange(longest) < torch.tensor([[len(one)] for one in orders])
        for start in range(0, longest, batch):
            chosen, real = rows[:, start : start + batch], there[:, start : start + batch].float()
            shares = real / real.sum(1, keepdim=True) if self.lanes.settings.loss == "mean" else real
            targets = self.targets[chosen].mT.unsqueeze(2)
            self.lanes.step(self._of(chosen), targets, shares)

    def _of(self, rows: Tensor) -> Tensor:
        return self.vectors.index_select(0, rows.flatten()).view(*rows.shape, -1)

    @torch.no_grad()
    def _check(self) -> None:
        accuracy = torch.zeros_like(self.best)
        for place, one in enumerate(self.places.tolist()):
            mine = [parameter[place : place + 1] for parameter in self.lanes.parameters]
            found = scored(mine, self.vectors[self.dev[one]][None])[0].max(0).indices
            accuracy[one] = (found == self.labels[self.dev[one]]).double().mean(1)
        going = torch.zeros(len(self.best), dtype=torch.bool)
        going[self.places] = True
        open_still = going[:, None] & (self.failures <= self.lanes.settings.tenacity)
        better = open_still & (accuracy > self.best)
        self.best = torch.where(better, accuracy, self.best)
        self.failures += open_still & ~better
        for kept, now in zip(self.kept, self.lanes.parameters, strict=True):
            mask = better[self.places][:, None, :, None]
            kept[self.places] = torch.where(mask, now.detach(), kept[self.places])
