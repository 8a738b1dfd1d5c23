import gzip

import pytest
from pydantic import ValidationError

from seqloom.data.pairing import in_step, script, unfit
from seqloom.errors import DataError
from seqloom.readers.parallel import Parallel

SGM = (
    '<refset trglang="de">\n<doc docid="1">\n<p>\n<seg id="1">A &amp; b</seg>\n<seg id="2">two\nlines</seg>\n'
    '</p></doc>\n<doc docid="2"><seg id="1">c</seg> <SEG id="2">d</SEG></doc>\n'
)


def written(folder, **texts):
    for name, text in texts.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return [str(folder / name.replace("_", ".")) for name in texts]


def test_segments_are_read_whatever_stands_around_them(tmp_path):
    first, second = written(tmp_path, a_en_sgm=SGM, a_de_xml_gz=SGM.replace("two", "zwei"))
    assert list(in_step(first, second, None)) == [
        (4, "A & b", "A & b"),
        (5, "two lines", "zwei lines"),
        (8, "c", "c"),
        (8, "d", "d"),
    ]


def test_a_segment_without_an_end_and_unequal_numbers_are_told(tmp_path):
    first, second = written(tmp_path, a_en_sgm=SGM, a_de_sgm=SGM.replace("two\nlines</seg>", "two lines"))
    with pytest.raises(DataError, match=r"a.en.sgm: has 4 segments, but .*a.de.sgm has 3; segment by segment"):
        list(in_step(first, second, None))
    torn, _ = written(tmp_path, b_en_sgm=SGM.partition("lines")[0], b_de_sgm=SGM)
    with pytest.raises(DataError, match=r"b.en.sgm:5.*no end </seg>"):
        list(in_step(torn, second, None))


def test_tags_are_left_out_of_both_sides(tmp_path):
    tags = "<url>http://x</url>\n<keywords>a, b</keywords>\n<title>T</title>\n"
    first, second = written(tmp_path, t_en=f"{tags}Hello\n<3 you\n", t_de=f"{tags}Hallo\n<3 dich\n")
    assert list(in_step(first, second, "tags")) == [(4, "Hello", "Hallo"), (5, "<3 you", "<3 dich")]
    assert len(list(in_step(first, second, None))) == 5
    (other,) = written(tmp_path, u_de=f"{tags}<title>T</title>\n<3 dich\n")
    with pytest.raises(DataError, match=r"t.en:4.*a tag stands in one file and not at line 4"):
        list(in_step(first, other, "tags"))


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("a b", "c d", ""),
        ("a b", "a b", "equal"),
        ("naïve 3 %", "ein 3 %", ""),
        ("a b", "привет мир", "not latin"),
        ("a b", "c d e f g", "over 2 times longer"),
        ("a b c d e", "f g", "over 2 times longer"),
    ],
)
def test_pairs_that_teach_nothing_are_left_out_and_say_why(source, target, why):
    assert why in unfit(source.split(), target.split(), ["latin", "latin"], 2)
    assert bool(why) == bool(unfit(source.split(), target.split(), ["latin", "latin"], 2))
    assert unfit(source.split(), target.split(), None, None) == ""


def test_the_script_of_a_letter_is_that_of_its_name():
    assert [script(sign) for sign in "aß я語ب1!"] == ["latin", "latin", "", "cyrillic", "cjk", "arabic", "", ""]


def test_a_reader_leaves_pairs_out_and_finds_references_beside_sources(tmp_path, caplog):
    written(
        tmp_path,
        **{"news-src_en_sgm": "<seg>a</seg>\n<seg>b</seg>", "news-ref_de_sgm": "<seg>я</seg><seg>c</seg>"},
    )
    config = Parallel.Config(languages=["en", "de"], scripts=["latin", "latin"])
    rows = list(Parallel(config, ("source",), ("target",)).read(str(tmp_path / "news-src.en.sgm")))
    assert rows == [{"source": ["b"], "target": ["c"], "line": 2}]
    assert "1 pairs with letters that are not latin are left out" in caplog.text


def test_a_script_that_no_letter_has_is_refused():
    with pytest.raises(ValidationError, match='no script "latn"; did you mean "latin"'):
        Parallel.Config(scripts=["latn", "latin"])
