"""The ℓp balls ∩ box in exact arithmetic: fractions, and 60 digits where a root is needed."""

from decimal import Decimal, localcontext
from fractions import Fraction

import torch


def room(threat, x):
    """The room of each coordinate within box and radius, as fractions."""
    eps = Fraction(threat.eps)
    values = [Fraction(v) for v in x.flatten().tolist()]
    if threat.bounds is None:
        return [-eps] * len(values), [eps] * len(values)
    low, high = (Fraction(b) for b in threat.bounds)
    return [max(min(low - v, 0), -eps) for v in values], [min(max(high - v, 0), eps) for v in values]


def caps(threat, c, x):
    """|c| and how far each coordinate can go along it, where it can."""
    low, high = room(threat, x)
    pairs = [(abs(a), up if a > 0 else -down) for a, down, up in zip(fractions(c), low, high, strict=True)]
    return [(price, cap) for price, cap in pairs if price and cap]


def fractions(v):
    return [Fraction(value) for value in v.flatten().tolist()]


def root(value):
    with localcontext() as context:
        context.prec = 60
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


def support(threat, c, x):
    """max ⟨c, δ⟩ over the set, a fraction."""
    pairs, eps = caps(threat, c, x), Fraction(threat.eps)
    if threat.spec_name() == "linf":
        return sum((price * cap for price, cap in pairs), Fraction(0))
    if threat.spec_name() == "l1":
        value, left = Fraction(0), eps
        for price, cap in sorted(pairs, reverse=True):
            value, left = value + price * min(cap, left), left - min(cap, left)
        return value
    clipped, free, square = exit_square(pairs, eps)
    return sum((price * cap for price, cap in clipped), Fraction(0)) + root(square * sum(p * p for p, _ in free) ** 2)


def exit_square(pairs, eps):
    """What the ray clips, what it leaves free, and the square of the time at which it leaves the ball."""
    order = sorted(pairs, key=lambda pair: pair[1] / pair[0])
    for count, (price, cap) in enumerate(order):
        free = order[count:]
        square = (eps**2 - sum(c * c for _, c in order[:count])) / sum(p * p for p, _ in free)
        if square <= (cap / price) ** 2:
            return order[:count], free, square
    return order, [], Fraction(0)


def project(threat, v, x):
    """The nearest point of the set, floats."""
    low, high = room(threat, x)
    values = fractions(v)
    clipped = [min(max(a, down), up) for a, down, up in zip(values, low, high, strict=True)]
    eps = Fraction(threat.eps)
    if threat.spec_name() == "linf" or length_power(threat, clipped) <= eps**threat.order:
        return tensor(clipped)
    if threat.spec_name() == "l2":
        time = root(exit_square(caps(threat, v, x), eps)[2])
        return tensor([min(max(time * a, down), up) for a, down, up in zip(values, low, high, strict=True)])
    pairs = caps(threat, v, x)
    theta = threshold(pairs, eps)
    amounts = [
        min(max(abs(a) - theta, 0), up if a > 0 else -down) for a, down, up in zip(values, low, high, strict=True)
    ]
    return tensor([amount if a > 0 else -amount for amount, a in zip(amounts, values, strict=True)])


def length_power(threat, point):
    return sum(abs(a) ** int(threat.order) for a in point)


def threshold(pairs, eps):
    """θ with Σ min(cap, (a − θ)₊) = eps, by interpolation between the breakpoints around it."""
    breaks = sorted({Fraction(0), *(a for a, _ in pairs), *(a - cap for a, cap in pairs if a > cap)})
    sums = [sum((min(max(a - theta, 0), cap) for a, cap in pairs), Fraction(0)) for theta in breaks]
    place = max(i for i, total in enumerate(sums) if total >= eps)
    if sums[place] == eps:
        return breaks[place]
    step = (sums[place] - eps) / (sums[place] - sums[place + 1])
    return breaks[place] + step * (breaks[place + 1] - breaks[place])


def tensor(values):
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


def pairing(c, delta):
    """⟨c, δ⟩, a fraction."""
    return sum((a * b for a, b in zip(fractions(c), fractions(delta), strict=True)), Fraction(0))
