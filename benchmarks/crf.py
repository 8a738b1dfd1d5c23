"""The CRF's loss with its gradient, and its best paths, beside pytorch-crf's and flair's."""

from dataclasses import dataclass
from typing import Any

import torch
import torchcrf
from flair.data import Dictionary
from flair.models.sequence_tagger_utils import crf as flair_crf
from flair.models.sequence_tagger_utils.viterbi import ViterbiDecoder, ViterbiLoss
from torch import Tensor

from measure import interleaved, row, save
from seqloom.nn.crf import LinearChainCRF

BATCH, TIME, ROUNDS = 32, 40, 21
PACKAGES = ("torch", "numpy", "pytorch-crf", "flair")


@dataclass
class Case:
    """A batch: emissions (batch, time, labels), gold labels, and lengths, longest first as flair wants them."""

    labels: int
    lengths: Tensor
    emissions: Tensor
    gold: Tensor

    @property
    def shapes(self) -> str:
        """What was timed, in words."""
        how = "lengths 40" if self.lengths.min() == TIME else f"lengths {self.lengths.min()}-{TIME}"
        return f"batch {BATCH}, {how}, {self.labels} labels"


def case(labels: int, mixed: bool) -> Case:
    """A random batch whose longest sentence has `TIME` tokens."""
    torch.manual_seed(labels)
    lengths = torch.randint(5, TIME + 1, (BATCH,)) if mixed else torch.full((BATCH,), TIME)
    lengths[0] = TIME
    emissions = 2 * torch.randn(BATCH, TIME, labels)
    return Case(
        labels, lengths.sort(descending=True).values, emissions, torch.randint(0, labels, (BATCH, TIME))
    )


class Ours:
    """Our CRF."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.emissions = case.emissions.clone().requires_grad_()
        self.crf = LinearChainCRF(case.labels)

    def loss(self) -> Tensor:
        """Summed loss and fresh gradients."""
        self.emissions.grad = self.crf.transitions.grad = None
        loss = self.crf(self.emissions, self.case.gold, self.case.lengths).sum()
        loss.backward()
        return loss

    def decode(self) -> list[list[int]]:
        """The best paths."""
        return self.crf.viterbi(self.case.emissions, self.case.lengths)


class PytorchCRF:
    """The same in pytorch-crf."""

    def __init__(self, case: Case, transitions: Tensor) -> None:
        self.case = case
        self.emissions = case.emissions.clone().requires_grad_()
        self.mask = torch.arange(TIME) < case.lengths[:, None]
        self.crf = torchcrf.CRF(case.labels, batch_first=True)
        with torch.no_grad():
            self.crf.transitions.copy_(transitions[:-2, :-2].t())
            self.crf.start_transitions.copy_(transitions[:-2, -2])
            self.crf.end_transitions.copy_(transitions[-1, :-2])

    def loss(self) -> Tensor:
        """Summed loss and fresh gradients."""
        self.emissions.grad = None
        self.crf.zero_grad()
        loss = -self.crf(self.emissions, self.case.gold, self.mask)
        loss.backward()
        return loss

    def decode(self) -> list[list[int]]:
        """The best paths."""
        return self.crf.decode(self.case.emissions, self.mask)


class Flair:
    """The same in flair, whose start and stop are labels like the others."""

    def __init__(self, case: Case, transitions: Tensor) -> None:
        self.case = case
        names = [*map(str, range(case.labels)), flair_crf.START_TAG, flair_crf.STOP_TAG]
        dictionary = Dictionary(add_unk=False)
        for name in names:
            dictionary.add_item(name)
        self.emissions = torch.nn.functional.pad(case.emissions, (0, 2)).requires_grad_()
        self.crf = flair_crf.CRF(dictionary, len(names), init_from_state_dict=False)
        barred = self.crf.transitions.detach() == -10000
        with torch.no_grad():
            self.crf.transitions.copy_(transitions.masked_fill(barred, -10000))
        self.viterbi_loss, self.decoder = ViterbiLoss(dictionary), ViterbiDecoder(dictionary)
        self.targets = torch.cat([row[:n] for row, n in zip(case.gold, case.lengths, strict=True)])

    def _features(self) -> Any:
        return self.crf(self.emissions), self.case.lengths, self.crf.transitions

    def loss(self) -> Tensor:
        """Summed loss and fresh gradients."""
        self.emissions.grad = None
        self.crf.zero_grad()
        loss = self.viterbi_loss(self._features(), self.targets)
        loss.backward()
        return loss

    def decode(self) -> list[list[int]]:
        """The best paths; flair hands out names and confidences."""
        with torch.no_grad():
            paths, _ = self.decoder.decode(self._features(), False, [])
        return [[int(name) for name, _ in path] for path in paths]


def main() -> None:
    """Check that all agree, then time them."""
    losses, paths = [], []
    for each in [case(20, True), case(20, False), case(7, True), case(7, False)]:
        ours = Ours(each)
        transitions = ours.crf.transitions.detach()
        rivals = {"pytorch-crf": PytorchCRF(each, transitions), "flair": Flair(each, transitions)}
        for rival in rivals.values():
            torch.testing.assert_close(rival.loss(), ours.loss(), rtol=1e-5, atol=1e-2)
            gradient = rival.emissions.grad[..., : each.labels]
            torch.testing.assert_close(gradient, ours.emissions.grad, rtol=1e-3, atol=1e-4)
            assert rival.decode() == ours.decode()
        for name, work, rows in (("crf_loss", "loss", losses), ("crf_viterbi", "decode", paths)):
            sides = {"ours": ours, **rivals}
            taken = interleaved({side: getattr(each_side, work) for side, each_side in sides.items()}, ROUNDS)
            rows += [compared(name, each, taken, rival) for rival in rivals]
    save("crf_loss", losses)
    save("crf_viterbi", paths)


def compared(name: str, each: Case, taken: dict[str, float], rival: str) -> dict[str, Any]:
    """The row of one rival; the one that stands for the goal is pytorch-crf with 20 labels at mixed lengths."""
    headline = rival == "pytorch-crf" and each.labels == 20 and bool(each.lengths.min() < TIME)
    return row(
        name,
        1000 * taken["ours"],
        1000 * taken[rival],
        rival_name=rival,
        unit="ms",
        shapes=each.shapes,
        packages=PACKAGES,
        rounds=ROUNDS,
        headline=headline,
    )


if __name__ == "__main__":
    main()
