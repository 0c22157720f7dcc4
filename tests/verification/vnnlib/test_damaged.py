"""Published properties with one byte changed: a sentence, or what the second reader makes of the changed file."""

import gzip
import os
import re
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from vnnlib_reference import Reference, agree, refusal

from inradius.verification.vnnlib.query import Query
from inradius.verification.vnnlib.version1 import statement_of

FOLDER = Path(os.environ.get("INRADIUS_REFERENCE_DATA", "")) / "vnncomp2021"
NAMES = [
    "test/test_prop.vnnlib",
    "test/test_nano.vnnlib",
    "test/test_small.vnnlib",
    *(f"acasxu/prop_{number}.vnnlib" for number in (1, 2, 3, 4)),
    "mnistfc/prop_0_0.03.vnnlib.gz",
]
# shares of a side that are outside of it, also by less than any digit of a file
OUTSIDE = (Fraction(-1, 4), Fraction(5, 4), -Fraction(1, 10**40), 1 + Fraction(1, 10**40))
CHANGES = list(b'()<>=;. +-*/XY0159ae\n"|')

pytestmark = pytest.mark.skipif(
    "INRADIUS_REFERENCE_DATA" not in os.environ,
    reason="INRADIUS_REFERENCE_DATA names no folder with published properties",
)


def near_boxes(query, count, seed, chosen):
    """Inputs in the boxes and at their sides, and inputs of which one, often a ``chosen`` one, is outside; outputs by chance."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        case = query.cases[rng.integers(len(query.cases))]
        shares = [Fraction(int(part), 4) for part in rng.integers(0, 5, len(case.lower))]
        if number % 3:
            known = [place for place in chosen if place < len(shares)]
            place = known[rng.integers(len(known))] if known and number % 2 else rng.integers(len(shares))
            shares[place] = OUTSIDE[number // 2 % 4]
        x = [low + share * (high - low) for low, high, share in zip(case.lower, case.upper, shares, strict=True)]
        yield x, [Fraction(int(part), 4) for part in rng.integers(-20, 20, query.outputs)]


def whole(name):
    content = (FOLDER / name).read_bytes()
    return gzip.decompress(content) if name.endswith(".gz") else content


def damaged(content, rng):
    """The content with one byte changed, and the numbers of the inputs in the changed lines."""
    changed, place = bytearray(content), int(rng.integers(len(content)))
    changed[place] = rng.choice([rng.integers(256), rng.choice(CHANGES), changed[place] ^ (1 << int(rng.integers(8)))])
    first, last = content.rfind(b"\n", 0, max(0, place - 40)) + 1, content.find(b"\n", place + 40)
    about = bytes(content[first : last if last > 0 else None])
    return bytes(changed), [int(number) for number in re.findall(rb"X_(\d{1,4})", about)]


def drill(name, path, seeds, count):
    """How many of the damaged files were read."""
    content, read = whole(name), 0
    for seed in seeds:
        changed, chosen = damaged(content, np.random.default_rng(seed))
        path.write_bytes(changed)
        if refusal(path) is None:
            agree(changed.decode(), count, seed, partial(near_boxes, chosen=chosen))
            read += 1
    return read


@pytest.mark.parametrize("name", NAMES)
def test_changed_bytes_are_refused_or_read_as_by_the_second_reader(name, tmp_path):
    drill(name, tmp_path / "prop.vnnlib", range(6 if name.endswith(".gz") else 40), 12)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_changed_bytes_are_refused_or_read_as_by_the_second_reader(name, tmp_path):
    assert 10 < drill(name, tmp_path / "prop.vnnlib", range(100, 1100), 18) < 950


@pytest.mark.slow
def test_a_thousand_changed_bytes_of_an_archive_are_refused_or_hold_the_same(tmp_path):
    content, path = (FOLDER / NAMES[-1]).read_bytes(), tmp_path / "prop.vnnlib.gz"
    for seed in range(1000):
        rng, changed = np.random.default_rng(seed), bytearray(content)
        # a tenth of the changes are in the header
        changed[rng.integers(len(content) if seed % 10 else 12)] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        if refusal(path) is None:
            assert gzip.decompress(path.read_bytes()) == whole(NAMES[-1])


def test_the_points_tell_a_bound_that_differs():
    text = whole(NAMES[-1]).decode()
    changed = re.sub(r"(<= X_17 [\d.]+)", r"\g<1>1", text)
    query, other = Reference(text), Reference(changed)
    found = near_boxes(Query.of(statement_of(text)), 30, 0, [17])
    assert any(not query.unsafe(*point) and other.unsafe(*point) for point in found)
