import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from seqloom.progress import Bar, bar, notice, showing, track


class Kept:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def bar(self, what: str, total: float | None) -> AbstractContextManager[Bar]:
        return self._bar(what, total)

    @contextmanager
    def _bar(self, what: str, total: float | None) -> Iterator[Bar]:
        self.told.append((what, total))
        yield self
        self.told.append("closed")

    def advance(self, amount: float = 1, *, note: str = "") -> None:
        self.told.append((amount, note))

    def notice(self, text: str) -> None:
        self.told.append(text)


def test_a_library_shows_nothing_and_logs_notices(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert list(track("ab", "letters")) == ["a", "b"]
    with bar("work") as running:
        running.advance(2, note="on")
    notice("look")
    assert caplog.record_tuples == [("seqloom", logging.WARNING, "look")]
    assert capsys.readouterr().out == ""


def test_a_display_is_told_while_it_shows_and_no_longer() -> None:
    kept = Kept()
    with showing(kept):
        assert list(track(iter("ab"), "unsized")) == ["a", "b"]
        assert list(track(["a"], "sized")) == ["a"]
        assert list(track(iter("a"), "said", 7)) == ["a"]
        notice("look")
    notice("unheard")
    step = (1, "")
    assert kept.told == [
        *[("unsized", None), step, step, "closed"],
        *[("sized", 1), step, "closed"],
        *[("said", 7), step, "closed"],
        "look",
    ]


def test_an_inner_display_gives_way_to_the_outer_one_again() -> None:
    outer, inner = Kept(), Kept()
    with showing(outer):
        with pytest.raises(ValueError, match="stop"), showing(inner):
            raise ValueError("stop")
        notice("outer")
    assert (outer.told, inner.told) == (["outer"], [])
