"""The published network of Wong and Kolter: their bound, and dual ≤ LP ≤ PGD, on real images."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Certifier, Property, ThreatModel

FOLDER = os.environ.get("INRADIUS_REFERENCE_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="INRADIUS_REFERENCE_DATA names no folder with reference networks")
F64 = torch.float64


def network():
    net = inradius.make("mnist_small()", nn.Module)
    path = Path(FOLDER) / "mnist_small_linf0.1.pth"
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval().double()


def images(count):
    table = torch.as_tensor(np.loadtxt(Path(FOLDER) / "mnist_test100.csv", delimiter=",", max_rows=count))
    return (table[:, 1:] / 255).view(-1, 1, 28, 28), table[:, 0].long()


def threat():
    return inradius.make("linf(eps=0.1)", ThreatModel)


def matrices(net):
    """Each affine layer as a dense matrix and an offset, found by applying it to unit vectors."""
    shape, affine = (1, 28, 28), []
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            size = int(np.prod(shape))
            with torch.no_grad():
                offset = layer(torch.zeros(1, *shape, dtype=F64))
                units = [layer(part.view(-1, *shape)) - offset for part in torch.eye(size, dtype=F64).split(512)]
            affine.append((torch.cat(units).flatten(1).t(), offset.flatten()))
            shape = tuple(offset.shape[1:])
        elif isinstance(layer, nn.Flatten):
            shape = (int(np.prod(shape)),)
    return affine


def algorithm_1(affine, x, low, high, rows):
    """Wong 2020, Algorithm 1 with dense matrices: lower bounds of rows · logits over x + [low, high]."""
    bounds = []

    def bound(rows, level):
        constant = torch.zeros(len(rows), dtype=F64)
        for position in range(level, -1, -1):
            weight, offset = affine[position]
            constant, rows = constant + rows @ offset, rows @ weight
            if position:
                lower, upper = bounds[position - 1]
                crossing = (lower < 0) & (upper > 0)
                slope = torch.where(crossing, upper / (upper - lower), (lower >= 0).double())
                loss = torch.where(crossing, -slope * lower, torch.zeros_like(lower))
                constant, rows = constant + rows.clamp(max=0) @ loss, rows * slope
        return constant + rows @ x + rows.clamp(min=0) @ low + rows.clamp(max=0) @ high

    for level in range(len(affine) - 1):
        unit = torch.eye(len(affine[level][1]), dtype=F64)
        bounds.append((bound(unit, level), -bound(-unit, level)))
    return bound(rows, len(affine) - 1)


def test_dual_is_algorithm_1_on_the_published_network():
    net, (x, y) = network(), images(2)
    x, y = x[:1], y[:1]
    affine = matrices(net)
    low, high = threat().hull(x)
    rows = Property.margins(y, 10, dtype=F64).weights
    with torch.no_grad():
        alone = inradius.make("dual(intersect=False)", Certifier)(net, x, y, threat()).lower
        ours = inradius.make("dual()", Certifier)(net, x, y, threat()).lower
        quick = inradius.make("dual()", Certifier)(net.float(), x.float(), y, threat()).lower
    for image in range(len(x)):
        flat = (x[image].flatten(), low[image].flatten(), high[image].flatten())
        theirs = algorithm_1(affine, *flat, rows[image])
        torch.testing.assert_close(alone[image], theirs, rtol=0, atol=1e-9)
        # tighter inner bounds do not change the slopes, so no margin is lower
        assert bool((ours[image] >= theirs - 1e-9).all())
        # the cost of rounding in float32
        assert float(quick[image].min()) >= float(theirs.min()) - 5e-3


def check_order(count):
    net, (x, y) = network(), images(count)
    attack = inradius.make("pgd(steps=40, keep_maximising=True, objective=margin())", Attack)
    reached = attack(net, x, y, threat()).margin
    for image in range(count):
        part = (x[image : image + 1], y[image : image + 1], threat())
        with torch.no_grad():
            dual, lp = (inradius.make(spec, Certifier)(net, *part).lower.min() for spec in ("dual()", "lp()"))
        assert dual <= lp + 1e-9
        assert lp <= reached[image] + 1e-9


@pytest.mark.slow
def test_dual_below_lp_below_pgd_on_ten_images():
    check_order(10)


def test_certified_and_attacked_error_of_the_published_network():
    """Published: 1.80 % error and 5.82 % robust error on the whole test set."""
    net, (x, y) = network().float(), images(100)
    with torch.no_grad():
        proof = inradius.make("dual()", Certifier)(net, x.float(), y, threat())
    broken = inradius.make("pgd(steps=20)", Attack)(net, x.float(), y, threat()).success
    assert not bool((proof.certified & broken).any())
    assert float(proof.certified.double().mean()) >= 0.9
    assert float(broken.double().mean()) <= 1 - float(proof.certified.double().mean())
