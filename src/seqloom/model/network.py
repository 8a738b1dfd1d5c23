"""The network: every part once, under its name, and the route of each task through them."""

from collections.abc import Mapping

from torch import Tensor, nn

from seqloom.data.batch import Batch, Encoded, Output
from seqloom.embedders import Embedder
from seqloom.encoders import Encoder
from seqloom.heads import Head


class Named(nn.Module):
    """Modules by name; unlike nn.ModuleDict it takes any name, `train` and `type` too."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._modules.update(parts)

    def __getitem__(self, name: str) -> nn.Module:
        found = self._modules[name]
        assert found is not None
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._modules


class Network(nn.Module):
    """Embedder → encoder → head, for each task by its route.

    Parameter names are the configuration's: `encoders.shared.layer0.weight_hh`, `heads.ner.scorer.weight`.
    """

    def __init__(
        self,
        embedders: Mapping[str, Embedder],
        encoders: Mapping[str, Encoder],
        heads: Mapping[str, Head],
        shared: Mapping[str, nn.Module],
        routes: Mapping[str, tuple[str, str]],
    ) -> None:
        super().__init__()
        self.embedders, self.encoders, self.heads = Named(embedders), Named(encoders), Named(heads)
        self.shared = Named(shared)
        self.routes = dict(routes)
        self._learning = [name for name, one in self.named_parameters() if one.requires_grad]

    def learning(self) -> list[Tensor]:
        """The parameters that its parts let learn, whatever of them training holds still."""
        parameters: dict[str, Tensor] = dict(self.named_parameters())
        return [parameters[name] for name in self._learning]

    def head(self, task: str) -> Head:
        """A task's head."""
        found = self.heads[task]
        assert isinstance(found, Head)
        return found

    def encode(self, batch: Batch, column: str, state: object = None) -> Encoded:
        """One text column of a batch, embedded and encoded by the task's route."""
        embedder, encoder = self.routes[batch.task]
        reader = self.embedders[embedder]
        assert isinstance(reader, Embedder)
        text = reader.reduced(batch.text(column))
        encoded: Encoded = self.encoders[encoder](reader(text), text.lengths, state)
        return encoded

    def weights(self, batch: Batch) -> list[dict[str, dict[str, list[float]]]]:
        """For each row, by text column and set of vectors, what the set weighs for each token; {} if none is mixed."""
        name = self.routes[batch.task][0]
        embedder = self.embedders[name] if name else None
        found: list[dict[str, dict[str, list[float]]]] = [{} for _ in range(len(batch))]
        if not isinstance(embedder, Embedder):
            return found
        for column in self.head(batch.task).encodes:
            text = batch.text(column)
            weights = embedder.weights(text)
            for row, length in enumerate(text.lengths.tolist() if weights else ()):
                found[row][column] = {name: one[row, :length].tolist() for name, one in weights.items()}
        return found

    def forward(self, batch: Batch, state: object = None) -> Output:
        """Loss, count and scores of a batch; `state` is what a stream's last window carried over."""
        head = self.head(batch.task)
        encoded = {column: self.encode(batch, column, state) for column in head.encodes}
        output: Output = head(batch, **encoded)
        return output
