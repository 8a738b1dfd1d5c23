"""Coattention between a document and a question, fused into one state for each token of the document."""

import torch
from torch import Tensor, nn

from seqloom.nn.pooling import past_end
from seqloom.nn.recurrent import Recurrent


def coattention(
    document: Tensor, document_lengths: Tensor, question: Tensor, question_lengths: Tensor
) -> Tensor:
    """For each state of a document, what it attends to in a question and in the question's view of the document.

    Xiong et al., "Dynamic Coattention Networks for Question Answering" (2017), equations 1 to 3: L = D^T Q;
    A^Q and A^D are softmaxes over the document and over the question; C^Q = D A^Q; C^D = [Q; C^Q] A^D.

    Args:
        document: (batch, m, size).
        document_lengths: (batch,), at least 1.
        question: (batch, n, size).
        question_lengths: (batch,), at least 1.

    Returns:
        C^D: (batch, m, 2 * size). What stands past a document's end means nothing.
    """
    affinity = document @ question.transpose(1, 2)
    past_document = past_end(document_lengths, document.shape[1], document.device)
    past_question = past_end(question_lengths, question.shape[1], question.device)
    over_document = affinity.masked_fill(past_document.unsqueeze(2), -torch.inf).softmax(1)
    over_question = affinity.masked_fill(past_question.unsqueeze(1), -torch.inf).softmax(2)
    summaries = over_document.transpose(1, 2) @ document
    return over_question @ torch.cat([question, summaries], -1)


class Coattention(nn.Module):
    """The coattention encoder: a document's states fused with those of a question by a BiLSTM.

    Xiong et al., "Dynamic Coattention Networks for Question Answering" (2017), sections 2.1 and 2.2. Both texts get a
    learnt sentinel to attend to where nothing fits; it stands before the text, so that padding stays at the end. Only
    the question goes through a projection, tanh(W q + b). Padding changes nothing.

    Args:
        size: features of a state of either text.
        hidden: units of each direction of the BiLSTM.
        sentinel: whether the document's sentinel is fused too, as position 0 of what comes out.
    """

    def __init__(self, size: int, hidden: int, sentinel: bool = False) -> None:
        super().__init__()
        self.sentinel, self.out = sentinel, 2 * hidden
        self.document_sentinel = nn.Parameter(torch.empty(size))
        self.question_sentinel = nn.Parameter(torch.empty(size))
        for one in (self.document_sentinel, self.question_sentinel):
            nn.init.normal_(one, std=size**-0.5)
        self.project = nn.Linear(size, size)
        self.fusion = Recurrent("lstm", 3 * size, hidden, bidirectional=True)

    def forward(
        self, document: Tensor, document_lengths: Tensor, question: Tensor, question_lengths: Tensor
    ) -> Tensor:
        """Fuse document (batch, m, size) with question (batch, n, size); lengths are int64, on the CPU, at least 1.

        Returns:
            (batch, m, 2 * hidden), or (batch, m + 1, 2 * hidden) with the sentinel; 0 past a document's end.
        """
        document = _after(self.document_sentinel, document)
        question = torch.tanh(self.project(_after(self.question_sentinel, question)))
        document_lengths = document_lengths + 1
        attended = coattention(document, document_lengths, question, question_lengths + 1)
        joined = torch.cat([document, attended], -1)
        if not self.sentinel:
            joined, document_lengths = joined[:, 1:], document_lengths - 1
        fused: Tensor = self.fusion(joined, document_lengths).states
        return fused


def _after(sentinel: Tensor, states: Tensor) -> Tensor:
    """Put the sentinel before the states of each text."""
    return torch.cat([sentinel.to(states).expand(len(states), 1, -1), states], 1)
