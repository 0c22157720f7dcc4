"""Certificates of random networks against exact arithmetic: no bound, less its error, may be above the exact value.

``python tests/shared/exact_check.py FIRST COUNT`` checks the networks of these seeds in a row and prints the table;
``benchmarks/rounding.py`` does so for 5,000 certificates and prints how much larger the stated errors are than the observed ones.
"""

import collections
import inspect
import statistics
import sys
import traceback
import warnings

import attrs
import mpmath
import torch
from exact_arithmetic import (
    NORMS,
    SIZES,
    Exact,
    downhill,
    drawn,
    exact_rows,
    members,
    rounded_down,
    rows_of,
    with_offsets,
)
from mpmath import mpf

import inradius
from inradius import Certifier, ThreatModel, UnsupportedError

CERTIFIERS = ("interval()", "dual()", "crown()", "alpha(steps=2, keep_maximising=True)")
# the bound as a share of its error at offset zero: certificates that are just given, in the narrow type
BARELY = (1.02, 1.5)
# every level that can be asked for
LEVELS = ({}, {"claim": "float"}) if "claim" in inspect.signature(Certifier.__call__).parameters else ({},)


@attrs.define
class Outcome:
    """The outcome of one network: violations, and stated over observed errors by certifier."""

    seed: int
    name: str = ""
    bits: int = 0
    depth: int = 0
    certificates: int = 0
    certified: int = 0
    rows: int = 0
    refusals: list[str] = attrs.field(factory=list)
    violations: list[str] = attrs.field(factory=list)
    errors: list[str] = attrs.field(factory=list)
    # (certifier and level, (bound − value) / stated error) of plain bounds over one point, in the first type that they
    # are computed in; above 1 the certificate is wrong
    shares: list[tuple[str, float]] = attrs.field(factory=list)


def exact_least(found, weights, points):
    """The least exact value of each row over the points, a list of mpf."""
    exact = Exact(found.model)
    values = [exact_rows(weights, exact(point)) for point in points]
    return [min(column) for column in zip(*values, strict=True)]


def check_proof(outcome, what, proof, values):
    """Compares one certificate's rows with the exact values, a list of mpf."""
    outcome.certificates += 1
    for place, value in enumerate(values):
        lower, error = float(proof.lower[0, place]), float(proof.error[0, place])
        outcome.rows += 1
        outcome.certified += lower > error
        if not (mpmath.isfinite(lower) and mpmath.isfinite(error)):
            continue
        if mpf(lower) - mpf(error) > value or (lower > error and value <= 0):
            text = f"bound {lower!r}, error {error!r}, exact {mpmath.nstr(value, 20)}"
            outcome.violations.append(f"{what}, {proof.claim[0]}, row {place}: {text}")


def check_network(outcome, certifiers=CERTIFIERS):
    """All certificates of one seed's network."""
    found = drawn(outcome.seed)
    outcome.name, outcome.bits, outcome.depth = found.name, found.bits, found.depth
    # the scale of the first input, so that a tiny set is tiny beside it
    scale = 2.0 ** round(float(found.x.abs().max().double().log2())) if bool(found.x.abs().max() > 0) else 1.0
    name, eps = found.draw.choice(NORMS), found.draw.choice(SIZES) * scale
    threat = inradius.make(f"{name}(eps={eps!r}, bounds=None)", ThreatModel)
    with torch.no_grad():
        weights = rows_of(found.draw, found.wide(found.x.double()).shape[1])
    gradients = downhill(found.wide, found.x, weights) if eps else []
    least = exact_least(found, weights, members(name, eps, found.x, gradients))
    for spec in certifiers:
        level = found.draw.choice(LEVELS)
        what = f"seed {outcome.seed}, {spec} {level.get('claim', '')}, {threat}, float{found.bits}, {found}"
        try:
            _certify(outcome, found, (what, spec, level, threat), weights, least)
        except UnsupportedError as refusal:
            outcome.refusals.append(f"{what}: {refusal}"[:300])


def _certify(outcome, found, asked, weights, least):
    """The plain bounds, bounds just above their error, and rows that hold nowhere or only just."""
    what, spec, level, threat = asked
    certifier = inradius.make(spec, Certifier)

    def proof(offsets):
        return certifier(found.model, found.x, None, threat, prop=with_offsets(weights, offsets), **level)

    plain = proof(torch.zeros(2, 1, dtype=torch.float64))
    check_proof(outcome, f"{what}, plain", plain, least)
    lower, error = plain.lower[0].double(), plain.error[0].double()
    if not bool(lower.isfinite().all() and error.isfinite().all()):
        return
    if float(threat.eps) == 0 and int(plain.precision) == max(32, found.bits):
        pairs = zip(lower.tolist(), error.tolist(), least, strict=True)
        outcome.shares += [
            (f"{spec} {level.get('claim', '')}", float((mpf(low) - value) / mpf(off)))
            for low, off, value in pairs
            if off
        ]
    for factor in BARELY:
        barely = (factor * error - lower).view(2, 1)
        check_proof(outcome, f"{what}, barely", proof(barely), moved(least, barely))
    # exact values of at most zero, by nothing and by a few units of the last place: none may be certified
    ties = [[rounded_down(-value - step * abs(value)) for step in (0, 2e-16, 2e-15)] for value in least]
    offsets = torch.tensor(ties, dtype=torch.float64)
    check_proof(outcome, f"{what}, tie", proof(offsets), moved(least, offsets))


def moved(values, offsets):
    """The exact values of every pair of a row and one of its offsets (K, J)."""
    return [value + mpf(offset) for value, row in zip(values, offsets.tolist(), strict=True) for offset in row]


def checked(seed, certifiers=CERTIFIERS):
    """The outcome of one seed. No error is raised."""
    outcome = Outcome(seed)
    try:
        check_network(outcome, certifiers)
    except Exception:
        outcome.errors.append(f"seed {seed} {outcome.name}\n" + "\n".join(traceback.format_exc().splitlines()[-6:]))
    return outcome


@attrs.define
class Summary:
    """The outcomes of many networks, counted."""

    outcomes: list[Outcome] = attrs.field(factory=list)

    def all(self, name):
        return [each for outcome in self.outcomes for each in getattr(outcome, name)]

    def count(self, name):
        return sum(getattr(outcome, name) for outcome in self.outcomes)

    def _line(self, label, observed):
        if not observed:
            return f"  {label:44} none"
        ratios = sorted(1 / abs(share) for share in observed if share)
        middle = f"{statistics.median(ratios):.3g}" if ratios else "-"
        closest = max(observed)
        return f"  {label:44} {len(observed):6} rows: bound − value ≤ {closest:.3f} errors; stated / observed {middle} (median)"

    def __str__(self):
        kinds = collections.Counter(outcome.name for outcome in self.outcomes)
        lines = [
            f"certificates {self.count('certificates')} of {len(self.outcomes)} networks ({len(kinds)} kinds), rows "
            f"{self.count('rows')}, certified {self.count('certified')}, refused {len(self.all('refusals'))}",
            "sets of one point, by certifier and level, in the first type that they are bounded in:",
        ]
        kinds = sorted({(outcome.bits, kind) for outcome in self.outcomes for kind, _ in outcome.shares})
        for bits, kind in kinds:
            some = [share for o in self.outcomes if o.bits == bits for name, share in o.shares if name == kind]
            lines.append(self._line(f"float{bits} {kind}", some))
        lines.append("by depth, float32 networks:")
        for depth in sorted({outcome.depth for outcome in self.outcomes}):
            deep = [share for o in self.outcomes if (o.depth, o.bits) == (depth, 32) for _, share in o.shares]
            lines.append(self._line(f"{depth} layers", deep))
        lines += [f"refused: {text}" for text in self.all("refusals")[:5]]
        lines += [f"violations {len(self.all('violations'))}", *self.all("violations")[:20]]
        lines += [f"tracebacks {len(self.all('errors'))}", *self.all("errors")[:5]]
        return "\n".join(lines)


def summary(seeds, certifiers=CERTIFIERS):
    return Summary([checked(seed, certifiers) for seed in seeds])


def demand(found):
    """Passes if there is no violation and no traceback, and if some rows are certified."""
    print(found)
    assert not found.all("violations"), str(found)
    assert not found.all("errors"), str(found)
    assert found.count("certified") >= 0.2 * found.count("rows"), str(found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    first, count = (int(argument) for argument in sys.argv[1:])
    told = summary(range(first, first + count))
    print(told)
    sys.exit(bool(told.all("violations") or told.all("errors")))
