import csv
import io
import json
import math
import struct
import zlib
from html.parser import HTMLParser

import attrs
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, Guess, cloud, linear
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius.report import clopper_pearson, plot_curve
from inradius.report.pictures import is_picture, png
from inradius.stored.files import write_atomic

LAW = settings(max_examples=50, derandomize=True, deadline=None)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    methods = {"attacks": [Guess(), Corner()], "certifiers": [Exact(loss=0.3)]}
    return inradius.bracket(linear(), cloud(), Cube(eps=0.2), folder=folder, model_name="a <linear> model", **methods)


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).double()
    x = torch.rand(12, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data = inradius.Dataset.of(x, model(x).argmax(1), name="images")
    return inradius.bracket(
        model, data, Cube(eps=0.2), attacks=Corner(), certifiers=[], folder=tmp_path_factory.mktemp("pictured")
    )


@LAW
@given(st.integers(0, 40), st.integers(1, 40))
def test_clopper_pearson_inverts_the_binomial_tails(count, total):
    """Law: at the ends of the interval the observed count is an event of the tail's probability."""
    count = min(count, total)
    low, high = clopper_pearson(count, total)
    assert low <= count / total <= high

    def at_least(p):
        return sum(math.comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(count, total + 1))

    def at_most(p):
        return sum(math.comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(count + 1))

    assert low == 0 if count == 0 else at_least(low) == pytest.approx(0.025, rel=1e-6)
    assert high == 1 if count == total else at_most(high) == pytest.approx(0.025, rel=1e-6)


def test_a_saved_report_is_read_back_equal(report, tmp_path):
    report.save(tmp_path)
    again = inradius.Report.load(tmp_path)
    assert again == report
    assert again.summary() == report.summary()
    assert again.deltas.keys() == report.deltas.keys()
    assert all(again.deltas[row].equal(delta) for row, delta in report.deltas.items())
    assert again.to_html() == report.to_html()


def test_saving_leaves_whole_files_only(report, tmp_path, figures):
    report.save(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"report.json", "examples.csv", "report.html", "bracket.png", "bracket.svg"}
    assert not [name for name in names if name.endswith(".tmp")]
    before = (tmp_path / "bracket.svg").read_bytes()
    report.save(tmp_path)
    assert (tmp_path / "bracket.svg").read_bytes() == before


def test_a_write_that_dies_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"


def test_json_is_strict_even_with_infinite_numbers(report, tmp_path):
    first = attrs.evolve(report.examples[0], verdicts=(attrs.evolve(report.examples[1].verdicts[0], bound=-math.inf),))
    odd = attrs.evolve(report, examples=(first, *report.examples[1:]))
    odd.save(tmp_path)

    def refuse(name):
        raise AssertionError(name)

    json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert inradius.Report.load(tmp_path) == odd


@pytest.mark.parametrize("content", ["", "{", '{"format": 99}', "[]", "{}"])
def test_what_is_no_report_is_refused(tmp_path, content):
    with pytest.raises(inradius.InputError, match=r"report\.json|format 99"):
        inradius.Report.load(tmp_path)
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(inradius.InputError, match=r"report\.json|format 99"):
        inradius.Report.load(tmp_path)


def test_a_report_cannot_be_saved_under_a_file(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(inradius.InputError, match="cannot be written"):
        report.save(tmp_path / "file" / "report")


def test_the_csv_has_a_row_for_each_example(report, tmp_path):
    report.save(tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "examples.csv").read_text())))
    assert [int(row["index"]) for row in rows] == [example.index for example in report.examples]
    assert [row["status"] for row in rows] == [example.status for example in report.examples]
    assert [float(row["clean_margin"]) for row in rows] == [example.clean_margin for example in report.examples]


def test_the_summary_is_plain_and_adds_up(report):
    found = json.loads(json.dumps(report.summary()))
    assert found["gap"] == found["upper"] - found["lower"]
    assert sum(group["examples"] for group in found["classes"]) == found["examples"] == 80
    assert sum(attack["decided"] for attack in found["attacks"].values()) == found["counts"]["attacked"]
    assert sum(certifier["decided"] for certifier in found["certifiers"].values()) == found["counts"]["certified"]
    assert found["membership"]["largest_gauge"] <= 1 + 1e-5
    assert found["membership"]["refused"] == 0
    assert found["environment"].keys() >= {"python", "torch", "inradius", "plugins", "platform", "threads", "device"}
    assert found["setting"]["attacks"] == {"guess()": "guess(seed=0)", "corner()": "corner(seed=0)"}


class Checker(HTMLParser):
    """Collects the tags, and notices those that are not closed."""

    void = frozenset({"meta", "img", "br", "rect", "line"})

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.sources = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag


@pytest.mark.parametrize("which", ["report", "pictured"])
def test_the_page_is_whole_and_needs_no_other_file(which, request):
    report = request.getfixturevalue(which)
    page, checker = report.to_html(), Checker()
    checker.feed(page)
    assert not checker.open
    assert all(source.startswith("data:image/png;base64,") for source in checker.sources)
    assert f"{report.lower:.1%}" in page
    assert f"{report.upper:.1%}" in page
    assert checker.seen.count("svg") == 1
    assert "$" not in page


def test_the_page_escapes_names(report):
    assert "a &lt;linear&gt; model" in report.to_html()
    assert "<linear>" not in report.to_html()


def test_the_page_shows_images_where_the_inputs_are_images(report, pictured):
    assert "<figure>" not in report.to_html()
    assert pictured.to_html().count("<figure>") == len(pictured.inputs) == 8


def decode(content):
    """The pixels of a PNG without filters."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        assert struct.unpack(">I", content[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert depth == 8
    channels = {0: 1, 2: 3}[colour]
    rows = torch.frombuffer(bytearray(zlib.decompress(chunks[b"IDAT"])), dtype=torch.uint8)
    return rows.view(height, 1 + width * channels)[:, 1:].view(height, width, channels).permute(2, 0, 1)


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 5, 7), (5, 7)])
def test_a_png_holds_the_pixels(shape):
    pixels = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    content = png(pixels / 255, (0.0, 1.0))
    assert decode(content).reshape(shape).equal(pixels.to(torch.uint8))


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        ((1, 28, 28), True),
        ((3, 32, 32), True),
        ((28, 28), True),
        ((784,), False),
        ((2, 8, 8), False),
        ((3, 2, 2), False),
    ],
)
def test_what_counts_as_an_image(shape, answer):
    assert is_picture(torch.zeros(shape)) is answer


def test_the_curve_is_drawn_over_the_radius(report, tmp_path):
    reports = [attrs.evolve(report, setting=attrs.evolve(report.setting, radius=r)) for r in (0.2, 0.1)]
    for suffix in ("png", "svg"):
        figure = plot_curve(reports, path=tmp_path / f"curve.{suffix}")
        assert (tmp_path / f"curve.{suffix}").stat().st_size > 1000
    lines = figure.axes[0].lines
    assert all(list(line.get_xdata()) == [0.1, 0.2] for line in lines)
    assert len(lines) == 3
    nameless = [attrs.evolve(report, setting=attrs.evolve(report.setting, radius=None))]
    with pytest.raises(inradius.InputError, match="radii="):
        plot_curve(nameless)
    assert plot_curve(nameless, [1.0]).axes
