import gzip

import pytest

from seqloom.data.bitext import form_of, side_texts
from seqloom.errors import DataError


def segments(folder, text: str, name: str = "dev.de.xml"):
    (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return list(side_texts(str(folder / name), "segments"))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("newstest2014-deen-src.de.sgm", "segments"),
        ("dev.SGML.gz", "segments"),
        ("IWSLT16.TED.tst2013.de-en.de.xml", "segments"),
        ("train.tags.de-en.de", "tags"),
        ("folder.tags/train.de", "lines"),
        ("train.xml.de", "lines"),
    ],
)
def test_a_name_tells_the_form(name, form):
    assert form_of(name) == form


@pytest.mark.parametrize("name", ["dev.de.sgm", "dev.de.xml.gz"])
def test_segments_come_in_order_with_their_lines(tmp_path, name):
    text = """<?xml version="1.0"?>
<mteval><refset><doc docid="1"><title>No segment</title>
<hl><SEG id="1"> One &amp; two </SEG></hl> beside
<seg id="1">Three</seg><seg id="2">four
  five</seg></doc>
<doc docid="2"><seg id="1"></seg></doc></refset></mteval>"""
    assert segments(tmp_path, text, name) == [(3, "One & two"), (4, "Three"), (4, "four five"), (6, "")]


def test_what_is_not_well_formed_is_read_all_the_same(tmp_path):
    text = "<doc><seg id=1>AT&T & 3 < 4 <b>\n<seg id='2'>no end</p><seg>&#228;&#xE4;&copy &lt;seg></seg>"
    assert [one for _, one in segments(tmp_path, text)] == ["AT&T & 3 < 4 <b>", "no end", "ää&copy <seg>"]


def test_entities_are_unescaped_once_and_declared_ones_stay_unread(tmp_path):
    (tmp_path / "secret").write_text("secret")
    text = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{tmp_path}/secret">]>\n<seg>&amp;lt; &x; &quot;</seg>'
    assert segments(tmp_path, text) == [(2, '&lt; &x; "')]


@pytest.mark.parametrize(
    ("text", "fault"),
    [("<seg>a</seg>\n<seg>b", r"\.xml:2: a segment .* never ends"), ("a\n", "holds no <seg>")],
)
def test_files_without_whole_segments_are_refused(tmp_path, text, fault):
    with pytest.raises(DataError, match=fault):
        segments(tmp_path, text)


def test_metadata_are_told_from_text(tmp_path):
    kinds = ["url", "keywords", "speaker", "talkid", "title", "description"]
    text = [f"<{kind}>x</{kind}>" for kind in kinds]
    text += [
        '<reviewer href="x">y</reviewer>',
        '<translator href="x">y</translator>',
        '<doc docid="1">',
        "</doc>",
    ]
    (tmp_path / "train.tags.de").write_text(
        "\n".join([*text, "<3 you", "<documents> count", " a <url>"]) + "\n"
    )
    found = [one for _, one in side_texts(str(tmp_path / "train.tags.de"), "tags")]
    assert found == [None] * len(text) + ["<3 you", "<documents> count", " a <url>"]
