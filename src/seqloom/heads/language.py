"""The next word: language models, over running text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field as Limits
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional

from seqloom.config import Count, FilePath, Name, Positive, Seed, Share, Table
from seqloom.data.batch import Batch, Encoded, Output, Text
from seqloom.data.fields import UNLISTED, Field, FormTable
from seqloom.data.running import Following, RunningText
from seqloom.data.vocabulary import SPECIALS, Vocabularies
from seqloom.errors import ConfigError, ModelError
from seqloom.heads import Head, Route
from seqloom.nn.mixture import MixtureOfSoftmaxes, mixed, mixture_loss
from seqloom.nn.sampling import Sampling, sample
from seqloom.nn.softmaxes import ROWS, judged, linear_cross_entropy
from seqloom.nn.split import SplitSoftmax

Weight = Annotated[float, Limits(ge=0)]


@dataclass(frozen=True, slots=True)
class Read:
    """Where texts of a batch end: what going on with them needs.

    Args:
        last: (batch, size) the state at the last token.
        state: the encoder's.
    """

    last: Tensor
    state: Any


class Continued(Table):
    """How a text is continued: at most `limit` words, drawn as `temperature`, `top_k` and `nucleus` say.

    `stop`: whether it ends where the end symbol is drawn, or goes on past it to the limit.
    """

    limit: Count = 50
    stop: bool = True
    temperature: Weight = 1.0
    top_k: Count | None = None
    nucleus: Annotated[float, Limits(gt=0, le=1)] = 1.0
    seed: Seed = 1


class Cache(Table):
    """A continuous cache (Grave et al. 2017): the last `window` states, each with the word that followed.

    `flatness`: the factor θ on how alike states are; `share`: the weight λ of the cache beside the model.
    """

    window: Count = 500
    flatness: Positive = 0.66
    share: Share = 0.12


class Dynamic(Table):
    """Learning from each window once it is foretold (Krause et al. 2018).

    `rate`: of gradient descent; `decay`: the share of the way back to the trained weights, at each window; `clip`: the
    largest norm of a gradient. `statistics`: files of a text, such as that of training, on which the root mean square
    of every weight's gradient is taken first. A step is then divided by that root and `floor`, the way back is in
    proportion to it, and nothing is clipped; a rate near 0.00005 and a decay of 0.002 are the published ones.
    """

    rate: Positive = 0.1
    decay: Share = 0.001
    clip: Positive = 0.25
    statistics: list[FilePath] = []
    floor: Positive = 0.00002


class Language(Head):
    """The word that follows each word (Merity et al. 2018; Yang et al. 2018)."""

    class Config(Table):
        """What is foretold and how it is scored, what holds states back, and how a model is used.

        `vocabulary`: of the words; `minimum`: how often one must occur to be listed, where the embedder does not say;
        `end`: the symbol at the end of each row. `tied`: words are scored by the embedder's vectors for them.
        `experts`: softmaxes that are mixed, with dropout `expert_dropout` on their vectors. `cuts`: ids of a large
        vocabulary at which groups of rarer words begin, each scored apart: a softmax in two steps.
        `activity`, `slowness`: weights of the penalties on large states and on fast changes of them (AR and TAR).

        `streams`, `window`: how text is read when evaluated: so many places side by side, so many tokens at a time.
        `cache`, `dynamic`: what evaluation adds to the model; `sampling`: how `predict` goes on with a text.
        """

        type: Literal["language"] = "language"
        vocabulary: Name = "words"
        minimum: Count = 1
        end: str = "<eos>"
        tied: bool = False
        experts: Count | None = None
        expert_dropout: Share = 0.0
        cuts: list[Count] = []
        activity: Weight = 0.0
        slowness: Weight = 0.0
        streams: Count = 10
        window: Count = 70
        cache: Cache | None = None
        dynamic: Dynamic | None = None
        sampling: Continued = Continued()

        @model_validator(mode="after")
        def _one_way(self) -> "Language.Config":
            if self.experts and self.cuts:
                raise ValueError("experts mix softmaxes over all words, cuts split one; leave one of them out")
            if not self.experts and self.expert_dropout:
                raise ValueError("without experts nothing reads expert_dropout; leave it out, or say how many")
            return self

    adjustable: ClassVar[frozenset[str]] = frozenset({"streams", "window", "cache", "dynamic", "sampling"})
    causal: ClassVar[bool] = True
    continues: ClassVar[bool] = True
    aligned: ClassVar[bool] = True
    measures: ClassVar[bool] = True
    falling: ClassVar[frozenset[str]] = frozenset({"perplexity", "bits_per_character"})

    @classmethod
    def fields(cls, config: Any) -> Mapping[str, Field]:
        """`text` alone, and what follows each of its tokens."""
        words = {"vocabulary": config.vocabulary, "minimum": config.minimum, "end": config.end}
        return {"text": RunningText(**words), "next": Following(**words)}

    @classmethod
    def figures(cls, config: Any) -> tuple[str, ...]:
        """Perplexity, bits per character, and how many words would have been right."""
        return ("perplexity", "bits_per_character", "accuracy")

    @classmethod
    def protocol(cls, config: Any) -> str:
        """The conventions of its figures."""
        how = f"text read in {config.streams} streams, the state carried along"
        more = [f"{name} {dict(one)}" for name in ("cache", "dynamic") if (one := getattr(config, name))]
        alone = ["accuracy without the cache"] if config.cache else []
        of = "perplexity of all tokens but each stream's first, end symbols included"
        return "; ".join([of, how, *more, *alone])

    @classmethod
    def reading(cls, config: Any) -> tuple[int, int]:
        """As its table says."""
        return config.streams, config.window

    def __init__(
        self,
        config: Any,
        *,
        size: int,
        vocabularies: Vocabularies,
        shared: nn.Module | None = None,
        route: Route | None = None,
    ) -> None:
        super().__init__(config, size=size, vocabularies=vocabularies)
        self.config, self.words = config, vocabularies[config.vocabulary]
        # Not registered children: the model owns them.
        self._route, self._known = (route,), vocabularies
        width = self._width(size)
        self.weight = None if config.tied else nn.Parameter(torch.empty(len(self.words), width))
        if self.weight is not None:
            nn.init.uniform_(self.weight, -(width**-0.5), width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(self.words)))
        self.mixture: MixtureOfSoftmaxes | None = None
        if config.experts:
            self.mixture = MixtureOfSoftmaxes(size, width, config.experts, config.expert_dropout)
        self.split: SplitSoftmax | None = None
        if config.cuts:
            self.split = SplitSoftmax(width, config.cuts, len(self.words))

    @property
    def route(self) -> Route:
        """What its texts come by."""
        found = self._route[0]
        assert found is not None
        return found

    def _width(self, size: int) -> int:
        """Numbers in a word's vector."""
        if not self.config.tied:
            return size
        embedder = self.route.embedder
        if getattr(embedder, "vocabulary", None) != self.config.vocabulary or not embedder.scoring:
            what = f'the embedder has no vector for each word of the vocabulary "{self.config.vocabulary}"'
            raise ConfigError(f"head language: tied: {what}; let it read that, or take tied: false")
        if embedder.size != size and not self.config.experts:
            what = f"the states have {size} numbers, the embedder's vectors {embedder.size}"
            remedy = "let them agree (encoders: last of awd), or set experts: 1 for a layer between them"
            raise ConfigError(f"head language: tied: {what}; {remedy}")
        return int(embedder.size)

    def _table(self) -> Tensor | None:
        """The vectors by which words are scored; None where the embedder holds them in another form."""
        found: Tensor | None = self.route.embedder.rows() if self.weight is None else self.weight
        return found

    def _scores(self, vectors: Tensor) -> Tensor:
        """Scores of words (..., words) by vectors (..., width)."""
        table = self._table()
        scored = self.route.embedder.scores(vectors) if table is None else functional.linear(vectors, table)
        return scored + self.bias

    def _whole(self) -> Tensor:
        table: Tensor = self.route.embedder.whole() if self.weight is None else self.weight
        return table

    def log_probabilities(self, states: Tensor) -> Tensor:
        """Those of all words (batch, time, words) after states (batch, time, size)."""
        if self.mixture is not None:
            vectors, priors = self.mixture(states)
            return mixed(vectors, priors, self._scores)
        if self.split is not None:
            return self.split.log_probabilities(states, self._whole(), self.bias)
        return self._scores(states).float().log_softmax(-1)

    def loss(self, states: Tensor, gold: Tensor) -> Tensor:
        """Minus the log-probabilities, summed, of gold (batch, time) after states; UNLISTED is left out."""
        real = gold != UNLISTED
        if self.mixture is not None:
            vectors, priors = self.mixture(states)
            return mixture_loss(vectors[real], priors[real], gold[real], self._scores)
        flat, right = (states.flatten(0, 1), gold.flatten()) if bool(real.all()) else (states[real], gold[real])
        if self.split is not None:
            return self.split.loss(flat, right, self._whole(), self.bias)
        if (table := self._table()) is not None:
            return linear_cross_entropy(flat, table, self.bias, right)
        return functional.cross_entropy(self._scores(flat).float(), right, reduction="sum")

    def forward(self, batch: Batch, **encoded: Encoded) -> Output:
        """Loss summed over tokens; in training the penalties beside it, in evaluation how many are right."""
        text, gold = encoded["text"], batch.tensor("next")
        scores = Read(text.final, text.state)
        if gold is None:
            return Output(None, len(batch), scores, text.state)
        count = int((gold != UNLISTED).sum())
        if not self.training:
            found, right = self.foretold(text.states, gold)
            return Output(-found.sum(), count, scores, text.state, {"right": float(right)})
        penalty = self._penalty(text, gold != UNLISTED)
        return Output(self.loss(text.states, gold), count, scores, text.state, penalty=penalty)

    def foretold(self, states: Tensor, gold: Tensor) -> tuple[Tensor, int]:
        """Log-probabilities of gold (batch, time) after states (..., size), 0 if UNLISTED; how many are likeliest."""
        real, judge = gold != UNLISTED, self._judged
        if self.split is not None:
            judge = partial(self.split.foretold, weight=self._whole(), bias=self.bias)
        pieces = zip(torch.split(states[real], ROWS), torch.split(gold[real], ROWS), strict=True)
        found, right = map(torch.cat, zip(*(judge(*piece) for piece in pieces), strict=True))
        return found.new_zeros(gold.shape).masked_scatter(real, found), int(right.sum())

    def _judged(self, states: Tensor, gold: Tensor) -> tuple[Tensor, Tensor]:
        return judged(self.log_probabilities(states), gold)

    def _penalty(self, text: Encoded, real: Tensor) -> Tensor | float:
        """AR and TAR (Merity et al. 2018, section 4.6), means over positions times how many these are."""
        penalty: Tensor | float = 0.0
        if self.config.activity:
            penalty = self.config.activity * (text.states.float().square().mean(-1) * real).sum()
        pairs = real[:, 1:]
        if self.config.slowness and pairs.any():
            change = (text.raw[:, 1:] - text.raw[:, :-1]).float().square().mean(-1) * pairs
            penalty = penalty + self.config.slowness * change.sum() * (real.sum() / pairs.sum())
        return penalty

    def decode(self, output: Output, batch: Batch) -> list[list[str]]:
        """How each text goes on; where the encoder reads backward, how it came to that."""
        if not (self.route.embedder.causal and self.route.embedder.backward):
            raise ModelError("a word has another vector by itself than in its text; none can be gone on with")
        how = self.config.sampling
        drawn = Sampling(how.temperature, how.top_k, how.nucleus, how.seed)
        writer = _Continuing(self, output.scores)
        limits = torch.full((len(batch),), how.limit, device=self.bias.device)
        read = [one.view for one in self.route.indexes if one.vocabulary == self.config.vocabulary]
        start = self.words.id(read[0].symbols(self.config.end)[0] if read else self.config.end)
        found = sample(writer, limits, drawn, 1, start=start, end=start if how.stop else -1)
        words = [[self.words[word] for word in one.words] for (one,) in found]
        return [one[::-1] for one in words] if self.route.encoder.backward else words

    def read_on(self, words: Tensor, state: Any) -> Encoded:
        """Read one more word of each text, (batch,) ids, from a state."""
        route = self.route
        forms = words.unsqueeze(1).cpu().numpy()
        ids = {
            one.vocabulary: torch.from_numpy(
                FormTable(self.words.symbols, one, self._known[one.vocabulary]).ids(forms)
            )
            if one.vocabulary != self.config.vocabulary
            else words.unsqueeze(1)
            for one in route.indexes
        }
        text = Text(ids, torch.ones(len(words), dtype=torch.int64)).to(words.device)
        encoded: Encoded = route.encoder(route.embedder(text), text.lengths, state)
        return encoded

    @classmethod
    def gold(cls, stored: Mapping[str, list[Any]]) -> None:
        """Nothing: what is foretold is the text itself."""

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> dict[str, float]:
        """Nothing: there is no one right way to go on."""
        return {}

    @classmethod
    def measured(cls, sums: Mapping[str, float], count: int) -> dict[str, float]:
        """Perplexity, bits per character, and the share of words that would have been right, in percent."""
        loss = sums["loss"] / max(1, count)
        bits = sums["loss"] / math.log(2) / max(1, sums.get("characters", count))
        right = 100 * sums.get("right", 0) / max(1, count)
        return {"perplexity": math.exp(min(loss, 700)), "bits_per_character": bits, "accuracy": right}

    @classmethod
    def written(cls, example: Mapping[str, Any], predicted: Any) -> str:
        """The text and how it goes on, with blanks between words."""
        words = [*example["text"], *predicted]
        return ("" if all(len(one) == 1 for one in words) else " ").join(words) + "\n"


class _Continuing:
    """Writes on, word by word, one text a row; `sample` drives it."""

    def __init__(self, head: Language, read: Read) -> None:
        self.head, self.state = head, read.state
        self.last: Tensor | None = read.last

    def step(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (texts, 1, words) after the last words (texts, 1); padding and the unknown word are never drawn."""
        last = self.last
        if last is None:
            read = self.head.read_on(words.squeeze(1), self.state)
            last, self.state = read.final, read.state
        self.last = None
        scores = self.head.log_probabilities(last.unsqueeze(1))
        scores[..., : len(SPECIALS)] = -math.inf
        return scores, scores.new_zeros(len(words), 1, 0)

    def follow(self, parents: Tensor) -> None:
        """Each text has one way to go on."""

    def keep(self, sentences: Tensor) -> None:
        """All texts go on to their end."""
