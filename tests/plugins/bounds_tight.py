"""Cases in which the rounding of one kind is nearly as large as what bounds count for it, compared with exact arithmetic.

Most of them rest on sums that lose their small numbers: 1 + 0.99 u is 1, u being the unit roundoff, so that a sum of 1, of
many 0.99 u and of −1 is 0 where it is added up in order. As kernels add up in several lanes, ``WIDTHS`` puts that many ones
in front and behind. Where the number that is lost decides on which side of 0 a ReLU's input lies, and a large weight follows,
a bound on that input that leaves out its rounding makes a bound of the model that is wrong by any factor.
"""

import contextlib
import itertools
from fractions import Fraction

import attrs
import exact_numbers
import torch
from exact_numbers import Exact
from torch import nn

import inradius
from inradius import Certifier, Property, Streams, ThreatModel
from inradius.modes import evaluating, full_precision
from inradius.proving import proving

F32, F64 = torch.float32, torch.float64
WIDTHS = (1, 4, 8, 16)
COUNT = 512
LARGE = 1e6


def unit(dtype=F32):
    return torch.finfo(dtype).eps / 2


def tiny(dtype=F32):
    return torch.finfo(dtype).smallest_normal


def losing(width=1, count=COUNT, dtype=F32, more=0.0):
    """Numbers whose sum in order is −more units, and in exact arithmetic about as many units higher as there are numbers."""
    numbers = torch.full((count,), 0.99 * unit(dtype), dtype=dtype)
    numbers[:width], numbers[-width:] = 1, -1 - more / width * unit(dtype)
    return numbers


@attrs.frozen(eq=False)
class Case:
    """A model with one output, an input (1, *S), a set, and what is asked of the output: row · output + offset."""

    model: nn.Module
    x: torch.Tensor
    threat: str = "linf(eps=0.0, bounds=None)"
    row: float = 1.0
    offset: float = 0.0
    # executions of the model in its own type, for level "float"; the bounds are computed in the type of x
    own: torch.dtype | None = None
    runs: tuple = ()
    # members of the set other than x
    members: tuple = ()
    flush: bool = False

    @property
    def claim(self):
        return "float" if self.runs else "real"

    def bound(self, certifier, claim=None):
        """What a certifier says, less its error, and the level."""
        dtype = self.x.dtype
        prop = Property(torch.full((1, 1, 1), self.row, dtype=dtype), torch.full((1, 1), self.offset, dtype=dtype))
        with flushing(self.flush):
            found = certified(certifier, self.model, self.x, self.threat, prop, claim or self.claim, self.own)
        error = found.error() if callable(found.error) else found.error
        value, error = float(found.value), float(error)
        finite = abs(value) < float("inf") and error < float("inf")
        return Fraction(value) - Fraction(error) if finite else None, found.claims[0]

    def least(self):
        """The least exact value, or that of an execution, at the input and the members."""
        found = []
        for x, run in itertools.product((self.x, *self.members), (Exact(), *self.runs)):
            (output,) = exact_numbers.run(self.model, x, run)
            if isinstance(output, float):
                # an overflow has no value that a bound could be below
                return None
            found.append(Fraction(self.row) * output + Fraction(self.offset))
        return min(found)


def certified(spec, model, x, threat, prop, claim, own=None):
    """One pass of a certifier, in the type of x."""
    certifier, threat = inradius.make(spec, Certifier), inradius.make(threat, ThreatModel)
    with torch.no_grad(), evaluating(model), full_precision(), proving(own or x.dtype, claim=claim):
        return certifier.lower_bound(model, x, threat, prop, Streams(0, torch.arange(len(x))))


@contextlib.contextmanager
def flushing(wanted=True):
    """While the block runs, the machine may flush what is smaller than the smallest normal number."""
    if wanted and not torch.set_flush_denormal(True):
        raise NotImplementedError("this machine keeps subnormal numbers")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def holds(case, *certifiers):
    """No exact value, and no execution's, is below a bound less its error."""
    for certifier in certifiers:
        bound, claim = case.bound(certifier)
        if bound is None:
            continue
        least = case.least()
        assert claim == case.claim, (certifier, claim)
        assert least is not None, (certifier, "an execution overflows, and a bound is claimed")
        assert bound <= least, (certifier, float(bound), float(least))


class Net(nn.Module):
    """A function of one argument with constants, as a model."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.requires_grad_(False)

    def forward(self, z):
        return self.function(self, z)


def linear(weight, bias=None):
    """A layer with these weights."""
    weight = torch.atleast_2d(weight)
    found = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    found.weight.copy_(weight) if not found.weight.requires_grad else found.weight.data.copy_(weight)
    if bias is not None:
        found.bias.data.copy_(bias)
    return found.requires_grad_(False)


def chain(*layers):
    return nn.Sequential(*layers).eval()


def ones(*shape, dtype=F32):
    return torch.ones(shape, dtype=dtype)


def gated(*layers, large=LARGE, dtype=F32):
    """A model whose last ReLU's input is the layers' output; a large weight follows, so that it must not be thought negative."""
    return chain(*layers, nn.ReLU(), linear(torch.tensor([[-large]], dtype=dtype)))


# sums in a backward pass: over the rows that meet in a number of the layer before


def adjoint(width):
    """Rows that meet in the one input of a layer."""
    return Case(chain(linear(ones(COUNT, 1)), linear(losing(width))), ones(1, 1), row=-1.0)


def adjoint_of_negative(width):
    """The same for an input that is known to be −2 at least, and 0 at most."""
    x = -ones(1, 1)
    model = chain(linear(ones(COUNT, 1)), linear(losing(width)))
    return Case(model, x, "linf(eps=1.0, bounds=None)", members=(2 * x,))


def adjoint_before_a_curve(width):
    """Rows that meet behind a ReLU, whose lines hold what they owe."""
    return Case(chain(linear(ones(COUNT, 1)), nn.ReLU(), linear(losing(width))), ones(1, 1), row=-1.0)


def adjoint_before_a_move(width):
    """The same with a step between that only moves numbers."""
    parts = {"first": linear(ones(COUNT, 1)), "last": linear(losing(width))}
    return Case(Net(lambda m, z: m.last(m.first(z).flip(1).relu()), **parts), ones(1, 1), row=-1.0)


def adjoint_beside_another(width):
    """Rows that meet at one of two layers whose outputs are added up before a ReLU."""
    parts = {"first": linear(ones(COUNT, 1)), "other": linear(0.5 * ones(COUNT, 1)), "last": linear(losing(width))}
    return Case(Net(lambda m, z: m.last((m.first(z) + m.other(z)).relu()), **parts), ones(1, 1), row=-1.0)


def copies(width):
    """Rows that meet where one number was copied."""
    places = torch.zeros(COUNT, dtype=torch.int64)
    return Case(Net(lambda m, z: m.last(z.relu()[:, places]), last=linear(losing(width))), ones(1, 1), row=-1.0)


def joined_copies(width):
    """The same for copies that are made by joining."""
    function = lambda m, z: m.last(torch.cat([z.relu()] * COUNT, 1))  # noqa: E731
    return Case(Net(function, last=linear(losing(width))), ones(1, 1), row=-1.0)


def filters(width):
    """Rows that meet in the one pixel that many filters see."""
    first = nn.Conv2d(1, COUNT, 1, bias=False).requires_grad_(False)
    first.weight.fill_(1)
    return Case(chain(first, nn.Flatten(), linear(losing(width))), ones(1, 1, 1, 1), row=-1.0)


def uses(count=120, dtype=F32):
    """Rows that meet where one number is used many times, each by a step of its own; their sum stays what the first is."""
    last = torch.full((count,), -0.99 * unit(dtype), dtype=dtype)
    last[0] = 1
    # 1 + 0.99 u + 0.99 u + ... is 1 where it is added up in this order
    many = lambda m, z: m.last(torch.cat([z] + [-z for _ in range(count - 1)], 1))  # noqa: E731
    parts = {"last": linear(last), "first": linear(ones(1, 1, dtype=dtype))}
    kinds = (many, lambda m, z: many(m, z.relu()), lambda m, z: many(m, m.first(z.relu())))
    return [Case(Net(kind, **parts), ones(1, 1, dtype=dtype), row=-1.0) for kind in kinds]


def uses_around_zero(count=120):
    """The same of the input, which is 0 while the set reaches to 1; the steps are layers."""
    last = torch.full((count,), 0.99 * unit())
    last[0] = 1
    parts = {"last": linear(last), "same": linear(ones(1, 1))}
    model = Net(lambda m, z: m.last(torch.cat([z] + [m.same(z) for _ in range(count - 1)], 1)), **parts)
    threat = "linf(eps=1.0, bounds=None)"
    return [Case(model, torch.zeros(1, 1), threat, row=-1.0, members=(ones(1, 1),))]


# sums in a forward pass


def constants(width):
    """Constants that a layer adds up, which were handed on by the step before."""
    model = Net(lambda m, z: m.last(z + m.shift), shift=losing(width), last=linear(ones(1, COUNT)))
    return Case(model, torch.zeros(1, COUNT), row=-1.0)


def inputs(width):
    """Rows times the input, of up to 64 numbers."""
    return Case(chain(linear(losing(width, 64))), ones(1, 64), row=-1.0)


def long_row(more=0.0):
    """2048 numbers, the first 128 of which are lost; so many are added up in runs."""
    row = torch.zeros(2048)
    row[:128] = losing(1, 128, more=more)
    return row


def runs():
    """Rows times the input, of many numbers."""
    return [Case(chain(linear(long_row())), ones(1, 2048), row=-1.0)]


def curve_outputs(width):
    """Rows times the box of a curve's outputs."""
    return Case(chain(nn.ReLU(), linear(losing(width, 64))), ones(1, 64), row=-1.0)


def branches(count=120):
    """Constants that are met one by one, each lost beside the offset; a step that adds numbers up follows each."""
    small, zero = torch.full((1,), -0.99 * unit()), linear(torch.zeros(1, 1))
    parts = {"zero": zero, "small": small, "same": linear(ones(1, 1)), "last": linear(ones(1, count + 1))}

    def all_branches(m, z):
        zero = m.zero(z).relu()
        return m.last(torch.cat([z, *(m.same(zero + m.small) for _ in range(count))], 1))

    model = Net(all_branches, **parts)
    return [Case(model, 2 * ones(1, 1), offset=-1.0)]


def closing():
    """A band and a set, each lost beside the offset, where no step but the curve is in between."""
    far = 1.9 * unit()
    threat = f"linf(eps={far!r}, bounds=None)"
    return [Case(chain(nn.ReLU()), torch.zeros(1, 1), threat, row=-1.0, offset=-1.0, members=(torch.tensor([[far]]),))]


# boxes: the bound is wrong by any factor where the sum's sign is


def gate(width):
    """A sum behind a curve that lies above 0, and below where its rounding is left out."""
    return Case(gated(nn.ReLU(), linear(losing(width, more=24 * width))), ones(1, COUNT))


def gate_of_the_input(width):
    """The same of the input."""
    return Case(gated(linear(losing(width, more=24 * width))), ones(1, COUNT))


def gate_of_two(width):
    """The same with a layer behind it."""
    return Case(gated(linear(losing(width, more=24 * width)), linear(ones(1, 1))), ones(1, COUNT))


def gate_by_l2(width):
    return attrs.evolve(gate_of_the_input(width), threat="l2(eps=0.0, bounds=None)")


def gate_of_rows(width):
    """Rows that meet behind a ReLU, as in ``adjoint_before_a_curve``, for the bounds of an inner layer."""
    return Case(gated(linear(ones(COUNT, 1)), nn.ReLU(), linear(losing(width, more=24 * width))), ones(1, 1))


def gate_of_adjoint(width):
    """Rows that meet behind another layer, for the bounds of an inner layer: they pay where they arrive."""
    layers = nn.ReLU(), linear(ones(COUNT, 1)), linear(losing(width, more=24 * width))
    return Case(gated(*layers), ones(1, 1))


def gate_of_runs():
    """Rows times the input, of many numbers, for the bounds of an inner layer."""
    return [Case(gated(nn.ReLU(), linear(long_row(more=40))), ones(1, 2048))]


def gate_of_scalings(count=100):
    """A number that is scaled many times, each time rounded down, less the same without rounding; no step adds numbers up.

    A row meets the factors from the last one on.
    """
    factors, product, exact = [], torch.ones(()), Fraction(1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        tried = 1 + torch.rand(400, generator=generator) / 64
        lost = [Fraction(float(product)) * Fraction(float(each)) - Fraction(float(product * each)) for each in tried]
        best = max(range(len(tried)), key=lost.__getitem__)
        factors.append(float(tried[best]))
        product, exact = product * tried[best], exact * Fraction(factors[-1])

    def scaled(m, z):
        z, other = z.relu(), z.relu()
        for factor in reversed(m.factors):
            z = z * factor
        return (z - m.whole * other).relu() * -LARGE

    # the product has lost about 0.7 units each time
    whole = (product * (1 + 0.4 * count * unit())).view(1)
    assert exact > Fraction(float(whole)) > Fraction(float(product))
    model = Net(scaled, whole=whole)
    for place, factor in enumerate(factors):
        model.register_buffer(f"factor{place}", torch.tensor([factor]))
    model.factors = [getattr(model, f"factor{place}") for place in range(count)]
    return [Case(model, ones(1, 1))]
