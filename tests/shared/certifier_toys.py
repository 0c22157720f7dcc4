"""Sets, certifiers and models that are exact at sight, and one certifier that answers with what it is told."""

import attrs
import torch
from torch import nn
from toy_sets import Cube

from inradius import Bounds, Certifier, ExampleRNG

DOUBLE = torch.float64


@attrs.frozen(kw_only=True)
class Two(Cube):
    """A union of two cubes, of which the larger holds the smaller."""

    convex = False

    def members(self):
        return (Cube(eps=self.eps / 2), Cube(eps=self.eps))


@attrs.frozen(kw_only=True)
class Slope(Certifier):
    """Exact for affine models: the value at x less the support of minus the gradient.

    The error that is assumed of it is far more than such a model's own rounding, so that it speaks of every float execution.
    """

    def lower_bound(self, model, x, threat, prop, rng):
        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(lambda z: model(z).sum(0), x, create_graph=True)
        rows = torch.einsum("bko,ob...->bk...", prop.weights, jacobian)
        value = (prop.weights * model(x)[:, None]).sum(2) + prop.offsets
        return Bounds(value=value - threat.support(-rows, x), exact=True, claim="float")


@attrs.frozen(kw_only=True)
class Told(Certifier):
    """Answers with what it is told, and notes the calls."""

    widens = True

    bounds: object = None
    calls: list = attrs.field(factory=list, eq=False)

    def lower_bound(self, model, x, threat, prop, rng):
        self.calls.append((x.dtype, len(x), threat, model.training, rng.uniform().tolist()))
        return self.bounds(x, prop)


def told(value, **options):
    return Told(bounds=lambda x, prop: Bounds(value=value.to(x.dtype).expand(prop.offsets.shape), **options))


def affine(classes=3, size=4, seed=0, dtype=DOUBLE):
    rng = ExampleRNG(seed, torch.arange(classes))
    model = nn.Linear(size, classes, dtype=dtype)
    with torch.no_grad():
        model.weight.copy_(rng.normal((size,)))
        model.bias.copy_(rng.normal())
    return model


def batch(count=3, size=4, dtype=DOUBLE):
    return ExampleRNG(9, torch.arange(count)).normal((size,), dtype=dtype), torch.arange(count) % 3


@attrs.frozen(kw_only=True)
class Word(Certifier):
    """Holds everything to be robust by a solver's word."""

    def lower_bound(self, model, x, threat, prop, rng):
        return Bounds(torch.ones_like(prop.offsets), claim="solver")
