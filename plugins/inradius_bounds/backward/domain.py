"""Where the functions of a network are defined: roots, logarithms and reciprocals have no bound beyond their domain."""

import torch
from torch import Tensor

from inradius import ActivationRule, LayerRule
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.network.value_bounds import ValueBounds


def defined_everywhere(values: ValueBounds) -> Tensor | None:
    """The examples for which every curve is defined on the whole box of its input, (B,); None where all curves always are."""
    found: Tensor | None = None
    for node in values.network.curves:
        op = node.operator
        assert op is not None
        if not _limited(op.rule):
            continue
        known = op.rule.known(op, *values.box(node.sources[0])).flatten(1).all(1)
        found = known if found is None else found & known
    return found


def _limited(rule: LayerRule) -> bool:
    """True if a curve has a domain that is not everything."""
    if isinstance(rule, ActivationRule):
        return type(rule).valid is not ActivationRule.valid
    return type(rule).known is not LayerRule.known


def within_domain(values: ValueBounds, found: ClosedRows) -> ClosedRows:
    """The bounds of a certificate, −∞ for examples whose network may have no value for a member of the set."""
    defined = None if current_certificate() is None else defined_everywhere(values)
    if defined is None or bool(defined.all()):
        return found
    value = found.value.where(defined[:, None], torch.full_like(found.value, -torch.inf))
    return ClosedRows(value, found.error, found.execution)
