"""Word vectors from characters: convolutions, the largest value over a word, and highways."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.nn.perceptron import named_activation


class Highway(nn.Module):
    """Layers that each mix their input with a transform of it, as a gate says.

    x <- g act(W x + b) + (1 - g) x with g = sigmoid(V x + c). Srivastava, Greff and Schmidhuber,
    "Highway Networks" (2015), equation 3. The weights start orthogonal.

    Args:
        size: features of input and output.
        layers: how many.
        activation: a name in `seqloom.nn.perceptron.ACTIVATIONS`.

    Raises:
        ConfigError: the activation is unknown.
    """

    def __init__(self, size: int, layers: int = 1, activation: str = "relu") -> None:
        super().__init__()
        self.activation = named_activation(activation)
        self.transforms = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
        self.gates = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
        for linear in (*self.transforms, *self.gates):
            nn.init.orthogonal_(linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., size) to the same shape."""
        for transform, gate in zip(self.transforms, self.gates, strict=True):
            x = x + torch.sigmoid(gate(x)) * (self.activation(transform(x)) - x)
        return x


class CharacterCNN(nn.Module):
    """A word's vector from its characters: each filter's largest response to any window of them.

    Kim et al., "Character-Aware Neural Language Models" (2016), section 2.2, with ReLU. A word shorter than the
    widest filter is padded to that width, and no word further, so that its vector depends on itself alone.
    Each distinct word of a batch is computed once.

    Args:
        filters: width in characters -> number of filters.
        characters: size of the character vocabulary; 0 is padding.
        size: features of a character's vector.
        highway: layers of a highway over the result; 0 for none.
        activation: of the highway, a name in `seqloom.nn.perceptron.ACTIVATIONS`.
        windows_over_padding: let the windows over all the padding of the batch take part, as in MLMT's program.

    Raises:
        ConfigError: there is no filter, or the activation is unknown.
    """

    def __init__(
        self,
        filters: Mapping[int, int],
        characters: int,
        size: int,
        highway: int = 0,
        activation: str = "relu",
        windows_over_padding: bool = False,
    ) -> None:
        super().__init__()
        if not filters or min(*filters, *filters.values()) < 1:
            raise ConfigError(f"filters map widths to counts, such as {{2: 20, 3: 20}}, not {dict(filters)}")
        self.widest = max(filters)
        self.out = sum(filters.values())
        self.windows_over_padding = windows_over_padding
        self.embedding = nn.Embedding(characters, size, padding_idx=0)
        convolutions = [nn.Conv1d(size, count, width) for width, count in filters.items()]
        self.weights = nn.ParameterList(convolution.weight for convolution in convolutions)
        self.biases = nn.ParameterList(convolution.bias for convolution in convolutions)
        self.highway = Highway(self.out, highway, activation)

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (..., characters) to vectors (..., out), which are 0 for a word that is padding alone."""
        ids = F.pad(ids, (0, max(0, self.widest - ids.shape[-1])))
        words, places = distinct_rows(ids.flatten(0, -2))
        vectors = self.highway(self._responses(words)) * (words[:, :1] != 0)
        return F.embedding(places.view(ids.shape[:-1]), vectors)

    def _responses(self, words: Tensor) -> Tensor:
        """Return every filter's largest response, after ReLU, to each of words (words, characters).

        A response is a sum of what the characters of a window add, and there are few characters: one product
        gives what each adds at each offset, and the rest is looking up.
        """
        used, codes = torch.unique(words, return_inverse=True)
        windows = self._windows(words, codes, void=len(used))
        return torch.relu(self._largest(windows, self._table(used)) + torch.cat(list(self.biases)))

    def _largest(self, windows: Tensor, table: Tensor) -> Tensor:
        """Return the largest sum of rows of the table that a word's windows reach in each column: (words, out).

        With gradients, only the windows that win are looked up again to be differentiated.
        """
        with torch.no_grad():
            sums = F.embedding_bag(windows.flatten(0, 1), table, mode="sum").view(*windows.shape[:2], self.out)
        if not torch.is_grad_enabled():
            return sums.amax(1)
        best = sums.max(1).indices  # argmax would be five times slower on a CPU
        rows = windows.transpose(1, 2).gather(2, best.unsqueeze(1).expand(-1, self.widest, -1))
        return table.gather(0, rows.flatten(0, 1)).view(rows.shape).sum(1)

    def _table(self, used: Tensor) -> Tensor:
        """Return what each character in use adds at each offset of a window: (offsets * (characters + 1), out).

        The row after the characters is the void past a word's end: there the last character of a filter's
        window cannot lie.
        """
        vectors = self.embedding.weight[used] * (used != 0).unsqueeze(1)
        weights = torch.cat([F.pad(weight, (0, self.widest - weight.shape[2])) for weight in self.weights])
        lasts = torch.cat([used.new_full((len(weight),), weight.shape[2] - 1) for weight in self.weights])
        offsets = torch.arange(self.widest, device=used.device).unsqueeze(1)
        void = vectors.new_zeros(()).where(offsets != lasts, -torch.inf)
        return torch.cat([vectors @ weights.permute(2, 1, 0), void.unsqueeze(1)], 1).flatten(0, 1)

    def _windows(self, words: Tensor, codes: Tensor, void: int) -> Tensor:
        """Return the rows of the table that each window sums: (words, windows, offsets)."""
        ends = (words != 0).sum(1, keepdim=True).clamp(min=self.widest)
        positions = torch.arange(words.shape[1], device=words.device)
        if not self.windows_over_padding:
            codes = codes.masked_fill(positions >= ends, void)
        codes = F.pad(codes, (0, self.widest - 1), value=void)
        return codes.unfold(1, self.widest, 1) + torch.arange(self.widest, device=words.device) * (void + 1)


def row_factors(size: int, device: torch.device) -> Tensor:
    """Draw the factors, always the same, that turn a row of that size into one key."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-(2**63), 2**63 - 1, (size,), generator=generator).to(device)


def distinct_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct ones of rows (count, size), and the place of each row among them (count,)."""
    factors = row_factors(rows.shape[1], rows.device)
    keys, places = torch.unique((rows * factors).sum(1), return_inverse=True)
    first = torch.empty_like(keys).scatter_(0, places, torch.arange(len(rows), device=rows.device))
    found = rows[first]
    if torch.equal(found[places], rows):
        return found, places
    # Two rows with one key are next to impossible; sorting whole rows, six times slower, is for them alone.
    exact: tuple[Tensor, Tensor] = torch.unique(rows, dim=0, return_inverse=True)
    return exact
