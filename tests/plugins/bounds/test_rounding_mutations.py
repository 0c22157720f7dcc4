"""Every term of the rounding errors is watched: without it, or with half of it, a law of ``rounding_laws`` fails.

Some terms are not here, because other terms cover them: the debt of an affine function of the input to its rows
(``BoxErrors._through``), which its forward step covers twice; the last roundings where a larger error is added at the same place
(``pass_ends._rounding``); and the sums of rows that count from references at a curve, beside those of constants. Where two terms
pay for the same, a law sets the other one to its value for exact references.
"""

from functools import partial

import folded_laws as folded
import pytest
import rounding_laws as laws
import torch
from mutations import Mutation, laws_of, name_of
from torch import nn

from inradius_bounds import rounding
from inradius_bounds.backward import certifier_bounds, curve_lines, optimised_lines, pass_ends, tangent_lines
from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.curve_lines import CurveLines
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.backward.rows import dot
from inradius_bounds.network import execution_errors, folded_boxes, magnitudes, partial_sums
from inradius_bounds.network.box_errors import BoxErrors
from inradius_bounds.network.deviations import Deviations
from inradius_bounds.network.execution_errors import ExecutionErrors
from inradius_bounds.network.folded_boxes import FoldedBoxes
from inradius_bounds.network.magnitudes import Magnitudes
from inradius_bounds.network.row_errors import RowErrors
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.convolution import ConvolutionRule
from inradius_bounds.rules.linear import LinearRule
from inradius_bounds.steps.convolution import AnyConvolutionRule
from inradius_bounds.steps.join import Gathered
from inradius_bounds.steps.move import Move

MEET, MEET_AROUND = laws.rows_meet, partial(laws.rows_meet, about=True)
MISS = laws.references_miss
TANGENT, MOVED = partial(laws.lines_are_moved, whole=True), partial(laws.lines_are_moved, whole=False)
SENT = laws.parts_meet
TAKEN = laws.an_execution_takes_inputs_for_0
ULPS = partial(laws.a_curve, nn.Sigmoid, 8)

# the count of roundings, and the size of each
NUMBERS = [
    Mutation(rounding, "unit", "/ 2", "/ 4", laws.an_execution_loses),
    Mutation(rounding, "tiny", "smallest_normal", "smallest_normal / 2", laws.an_execution_underflows),
    Mutation(rounding, "gamma", "terms * unit(dtype)", "0.5 * terms * unit(dtype)", laws.intervals),
    Mutation(rounding, "gammas", "terms.double()", "0.5 * terms.double()", laws.an_execution_loses),
    Mutation(rounding, "gammas", "math.inf", "0", partial(laws.an_execution_loses, 200, torch.bfloat16)),
    Mutation(dot, "dot_terms", "size if size <= _SHORT else runs", "1", laws.passes_count_from_references),
    Mutation(dot, "dot_terms", "sum(shape)", "sum(shape[1:])", laws.windows_are_summed),
    Mutation(LinearRule, "fan", "int(op.module.weight.shape[0])", "1", MEET_AROUND),
    Mutation(LinearRule, "terms", "int(op.module.in_features)", "1", laws.an_execution_loses),
    Mutation(Move, "copies", "int(self.index.bincount().max())", "1", partial(laws.copies_meet, "moved")),
    Mutation(Gathered, "fan", "int(self.index.bincount().max())", "1", partial(laws.copies_meet, "joined")),
    Mutation(ConvolutionRule, "fan", "return ", "return 1 or ", partial(laws.copies_meet, "filters")),
    Mutation(AnyConvolutionRule, "fan", "return ", "return 1 or ", partial(laws.copies_meet, "filters in a row")),
    Mutation(magnitudes, "_counted", "node.join.fan + len(node.sources)", "1", partial(laws.copies_meet, "joined")),
]  # fmt: skip

STEPS = [
    Mutation(Deviations, "unmatched", "2 * gamma(", "0 * gamma(", MISS),
    Mutation(Deviations, "unmatched", "2 * gamma(", "0.5 * gamma(", MISS),
    Mutation(Deviations, "unmatched", "forth + 10", "10", MISS),
    Mutation(Magnitudes, "_sized", " + (2 * counts(node)[0] + 8) * tiny(self.dtype)", "", laws.sizes_underflow),
    Mutation(Magnitudes, "_sized", "(2 * counts(node)[0] + 8)", "(counts(node)[0] + 8) / 2", laws.sizes_underflow),
    Mutation(Deviations, "_deviated", "found + (2 * counts(node)[0] + 8) * tiny(self.magnitudes.dtype)", "found",
        laws.deviations_underflow),
    Mutation(Deviations, "_deviated", "(2 * counts(node)[0] + 8)", "(counts(node)[0] + 8) / 2", laws.deviations_underflow),
    Mutation(Deviations, "unmatched", "(2 * forth + 8) * tiny(self.magnitudes.dtype)", "0", laws.references_underflow),
    Mutation(Deviations, "unmatched", "tiny(self.magnitudes.dtype)", "tiny(torch.float64)", laws.small_references_miss),
    Mutation(Deviations, "unmatched", "(2 * forth + 8)", "(forth + 8) / 2", laws.references_underflow),
    Mutation(RowErrors, "_sums_of_rows", "self._back(node, back)", "0", MEET_AROUND),
    Mutation(RowErrors, "_around_reference", "moved + self.deviations.unmatched", "0.5 * moved + self.deviations.unmatched",
        MEET_AROUND),
    Mutation(RowErrors, "_around_reference", "moved + self.deviations.unmatched(node)", "moved", partial(MISS, place=1)),
    Mutation(RowErrors, "_around_reference", "self.deviations.unmatched(node) + (2 * forth + 8) * tiny(self.dtype)",
        "self.deviations.unmatched(node)",
        laws.distances_underflow),
    Mutation(RowErrors, "_around_zero", "max(sums, back) + 5", "sums + 5", MEET),
    Mutation(RowErrors, "_around_zero", "alpha=gamma(rounds", "alpha=0.5 * gamma(rounds", MEET),
    Mutation(RowErrors, "_around_zero", "gamma(rounds + self.adds(node), self.dtype)", "gamma(rounds, self.dtype)",
        partial(SENT, "scaled")),
    Mutation(RowErrors, "_around_zero", "gamma(rounds + self.adds(node), self.dtype)",
        "gamma(rounds + self.adds(node) // 2, self.dtype)", partial(SENT, "scaled")),
    Mutation(RowErrors, "_around_zero", "gamma(rounds + self.adds(node), self.dtype)", "gamma(rounds, self.dtype)",
        partial(SENT, "moved")),
    Mutation(RowErrors, "_around_zero", "gamma(rounds + self.adds(node), self.dtype)", "gamma(rounds, self.dtype)",
        partial(SENT, "scaled", owed="rows")),
    Mutation(RowErrors, "_sums_of_rows", "gamma(self.adds(node), self.dtype)", "0.0", partial(SENT, "scaled", about=True)),
    Mutation(RowErrors, "_sums_of_rows", "gamma(self.adds(node), self.dtype)", "gamma(self.adds(node) // 2, self.dtype)",
        partial(SENT, "scaled", about=True)),
    Mutation(RowErrors, "_sums_of_rows", "5 + self.adds(node)", "5", partial(SENT, "added", about=True, owed="rows")),
    Mutation(RowErrors, "_sums_of_rows", "5 + self.adds(node)", "5 + self.adds(node) // 2",
        partial(SENT, "added", about=True, owed="rows")),
    Mutation(RowErrors, "_sums_of_rows", "gamma(self.adds(node), self.dtype)", "0.0", partial(SENT, "moved", about=True)),
    Mutation(RowErrors, "_sums_of_rows", "gamma(self.adds(node), self.dtype)", "0.0",
        partial(SENT, "moved", about=True, owed="rows")),
    Mutation(RowErrors, "adds", "(len(self.network.uses[source]) - 1 ", "(len(self.network.uses[source]) // 2 ",
        partial(SENT, "moved", about=True)),
    Mutation(RowErrors, "adds", "max((", "min((", partial(SENT, "added", about=True, owed="rows")),
    Mutation(RowErrors, "_around_zero", "sums = forth if", "sums = 1 if", partial(laws.constants_meet, "handed")),
    Mutation(RowErrors, "_around_zero", "max(rounds, sums + dot_terms(node.stored) + 5)", "rounds",
        partial(laws.constants_meet, "own")),
    Mutation(RowErrors, "_around_zero", "add(small, size", "add(0 * small, size", laws.constants_underflow),
    Mutation(ExecutionErrors, "_executed", "share = relative_error(", "share = 0 * relative_error(", laws.an_execution_loses),
    Mutation(ExecutionErrors, "_executed", "share = relative_error(", "share = 0.5 * relative_error(", laws.an_execution_loses),
    Mutation(ExecutionErrors, "_executed", " + (forth + 2) * (1 + share) * peak * tiny(run)", "", laws.an_execution_underflows),
    Mutation(ExecutionErrors, "_executed", "(forth + 2) * (1", "(forth + 2) / 2 * (1", laws.an_execution_underflows),
    Mutation(ExecutionErrors, "_of_sum", "ROOM * unit(run)", "0.5 * unit(run)", laws.an_execution_loses_both_signs),
    Mutation(ExecutionErrors, "_of_sum", "added * partial", "0.5 * added * partial", laws.an_execution_loses_both_signs),
    Mutation(partial_sums, "partial_sums", ".abs()) / 2", ".abs()) / 4", laws.an_execution_loses_both_signs),
    Mutation(partial_sums, "partial_sums", ".abs()) / 2", " * 0) / 2", laws.an_execution_loses),
    Mutation(partial_sums, "partial_sums", "box[1].clamp(min=0)", "box[0].clamp(min=0)",
        partial(laws.an_execution_loses_at_an_end, 0.5)),
    Mutation(partial_sums, "partial_sums", "above - below", "above", partial(laws.an_execution_loses_at_an_end, 0.0)),
    Mutation(ExecutionErrors, "_executed", "peak * self.magnitudes.inputs(node)", "0 * self.magnitudes.inputs(node)",
        laws.an_execution_takes_weights_for_0),
    Mutation(ExecutionErrors, "_executed", "peak * self.magnitudes.inputs(node)", "peak / 2 * self.magnitudes.inputs(node)",
        laws.an_execution_takes_weights_for_0),
    Mutation(execution_errors, "_kept", " / 4", "", laws.an_execution_overflows),
    Mutation(ExecutionErrors, "curve", "2 * ulps * unit", "ulps * unit", ULPS),
    Mutation(ExecutionErrors, "curve", " + tiny(self.run)", "", partial(laws.a_curve, nn.Sigmoid, 8, 0.99 * laws.LEAST)),
    Mutation(ExecutionErrors, "curve", "tiny(self.run)", "tiny(self.run) / 2",
        partial(laws.a_curve, nn.Sigmoid, 8, 0.99 * laws.LEAST)),
    Mutation(ExecutionErrors, "curve", "torch.inf if ulps is None else", "0 if ulps is None else",
        partial(laws.a_curve, nn.ELU, 1e6)),
    Mutation(ExecutionErrors, "curve", "_kept(", "(lambda error, *size: error)(",
        partial(laws.a_curve, nn.Sigmoid, torch.inf, 1e39)),
]  # fmt: skip

HANDED = [
    Mutation(RowErrors, "_all", "gamma(6 + ", "0 * gamma(6 + ", laws.single_rows_meet_in_norms),
    Mutation(RowErrors, "_all", "6 + self.adds(node)", "6", partial(SENT, "scaled", owed="single")),
    Mutation(RowErrors, "_all", "6 + self.adds(node)", "6 + self.adds(node) // 2", partial(SENT, "scaled", owed="single")),
    Mutation(RowErrors, "_all", "moved + (2 * counts(node)[0] + 8) * tiny(self.dtype)", "moved",
        partial(laws.distances_underflow, single=True)),
    Mutation(RowErrors, "_all", "moved + self.deviations.unmatched(node)", "moved", partial(MISS, place=2)),
    Mutation(RowErrors, "_all", " and len(self.network.uses[source]) == 1", "", laws.single_rows_of_several_uses),
    Mutation(RowErrors, "_with", "here = found[0] +", "here = found[0] + 0 *", partial(laws.steps_hand_on, 0)),
    Mutation(RowErrors, "_with", "found[1] +", "found[1] + 0 *", partial(laws.steps_hand_on, 1)),
    Mutation(RowErrors, "passed", "node.stretch(*given)", "node.stretch(*given) / 2", partial(laws.steps_hand_on, 0)),
    Mutation(RowErrors, "passed", "node.stretch(*given)", "node.stretch(*given) / 2", partial(laws.steps_hand_on, 1)),
    Mutation(RowErrors, "lost", "[: self", "[self.network.place[node] : self", partial(laws.underflow_on_the_way, 2)),
    Mutation(RowErrors, "lost_between", "(list(products.values()))", "(list(products.values())) / 2", laws.underflow_on_the_way),
    Mutation(RowErrors, "lost_between", "max(counts(node)) + 8", "8", laws.underflow_on_the_way),
    Mutation(RowErrors, "lost_between", "others += 16 * node.stored.numel()", "pass", laws.underflow_at_a_curve),
]  # fmt: skip

BOXES = [
    Mutation(BoxErrors, "widening", "gamma(forth + 8, dtype)", "gamma(8, dtype)", laws.intervals),
    Mutation(BoxErrors, "widening", "gamma(forth + 8, dtype)", "0.5 * gamma(forth + 8, dtype)", laws.intervals),
    Mutation(BoxErrors, "widening", "(2 * forth + 8) * tiny(dtype) + ", "", laws.intervals_underflow),
    Mutation(BoxErrors, "widening", "(2 * forth + 8)", "(forth + 4)", laws.intervals_underflow),
    Mutation(BoxErrors, "widening", "here + run", "here", partial(laws.intervals, run=torch.float32)),
    Mutation(BoxErrors, "whole", " + lost.view(", " + 0 * lost.view(", laws.affine_functions_underflow),
    Mutation(BoxErrors, "_through", " + self.widening(node)", "", partial(laws.affine_functions, "one")),
    Mutation(BoxErrors, "_through", "own + self.rows.passed", "own + 0 * self.rows.passed",
        partial(laws.affine_functions, "steps")),
    Mutation(ValueBounds, "_computed", "self._widened(lower, upper, self.errors.boxes.whole(node))", "(lower, upper)",
        partial(laws.boxes_hold, False)),
    Mutation(ValueBounds, "_computed", "self._widened(lower, upper, self.errors.boxes.widening(node))", "(lower, upper)",
        partial(laws.boxes_hold, True)),
    Mutation(ValueBounds, "_computed", "if run is None else", "if True else", laws.overflowing_boxes),
    Mutation(ValueBounds, "sides", "half * (1 + 4 * unit(half.dtype))", "half", partial(laws.halves, False)),
    Mutation(ValueBounds, "sides", " + 2 * tiny(half.dtype)", "", partial(laws.halves, True)),
    Mutation(ValueBounds, "_hull", "lower.abs(), alpha=u", "lower.abs(), alpha=0", partial(laws.hulls, False)),
    Mutation(ValueBounds, "_hull", "upper.abs(), alpha=u", "upper.abs(), alpha=0", partial(laws.hulls, False)),
    Mutation(ValueBounds, "_hull", "alpha=u) - least", "alpha=u)", partial(laws.hulls, True)),
    Mutation(ValueBounds, "_hull", "alpha=u) + least", "alpha=u)", partial(laws.hulls, True)),
    Mutation(ValueBounds, "_hull", "2 * tiny(lower.dtype)", "tiny(lower.dtype)", partial(laws.hulls_of_small_inputs, -1)),
    Mutation(ValueBounds, "_hull", "2 * tiny(lower.dtype)", "tiny(lower.dtype)", partial(laws.hulls_of_small_inputs, 1)),
    Mutation(ValueBounds, "room", "2 * tiny(self.rounding.execution)", "0", partial(TAKEN, "box")),
    Mutation(ValueBounds, "room", "low - least", "low - least / 4", partial(TAKEN, "box", about=True)),
    Mutation(BoxErrors, "_through", "tiny(run))", "0.0)", partial(TAKEN, "affine")),
    Mutation(BoxErrors, "_through", "tiny(run))", "tiny(run) / 2)", partial(TAKEN, "affine")),
    Mutation(ValueBounds, "_outward", "low.abs(), alpha=u", "low.abs(), alpha=0", partial(laws.shorter_boxes, False)),
    Mutation(ValueBounds, "_outward", "high.abs(), alpha=u", "high.abs(), alpha=0", partial(laws.shorter_boxes, False)),
    Mutation(ValueBounds, "_outward", "alpha=u) - least", "alpha=u)", partial(laws.shorter_boxes, True)),
    Mutation(ValueBounds, "_outward", "alpha=u) + least", "alpha=u)", partial(laws.shorter_boxes, True)),
    Mutation(ValueBounds, "around", "4 * unit(torch.float64)", "0", laws.boxes_around_references),
    Mutation(pass_ends, "_sides", "half + 2 * tiny(half.dtype)", "half", partial(laws.halves, True, last=False)),
]  # fmt: skip

FOLDED = [
    Mutation(FoldedBoxes, "_weighted", "gamma(forth + _MORE, dtype)", "gamma(_MORE, dtype)", folded.products_lose),
    Mutation(FoldedBoxes, "_weighted", "(size * g)", "(size * g / 2)", folded.products_lose),
    Mutation(FoldedBoxes, "_weighted", "most * step.bias_sizes", "0 * step.bias_sizes", partial(folded.products_lose, True)),
    Mutation(FoldedBoxes, "_weighted", "most * step.bias_sizes", "most / 2 * step.bias_sizes", partial(folded.products_lose, True)),
    Mutation(FoldedBoxes, "_weighted", "for each in (run.share, run.most)", "for each in (0.0, 0.0)", folded.executions_lose),
    Mutation(FoldedBoxes, "_weighted", "for each in (run.share, run.most)", "for each in (run.share, 0.0)",
        partial(folded.executions_lose, True)),
    Mutation(FoldedBoxes, "_weighted", "+ (8 * forth + 32) * tiny(dtype)", "+ 0 * tiny(dtype)", folded.products_underflow),
    Mutation(FoldedBoxes, "_weighted", "(8 * forth + 32)", "32", folded.products_underflow),
    Mutation(FoldedBoxes, "_weighted", "(1 + largest)", "1", folded.widths_underflow),
    Mutation(FoldedBoxes, "_weighted", "(tiny(dtype) if", "(0.0 if", folded.weights_underflow),
    Mutation(FoldedBoxes, "_weighted", "spread = spread.add_(", "spread.add(", folded.weights_underflow),
    Mutation(FoldedBoxes, "_weighted", "if not bool((largest", "if False and not bool((largest", folded.middles_overflow),
    Mutation(FoldedBoxes, "_weighted", "+ bias + loss", "+ loss", partial(folded.middles_overflow, True)),
    Mutation(folded_boxes, "_summed", "sign * unit(end.dtype)", "0.0", partial(folded.sums_are_rounded, "rounded")),
    Mutation(folded_boxes, "_summed", ".add_(tiny(end.dtype) / unit(end.dtype))", "", partial(folded.sums_are_rounded, "flushed")),
    Mutation(ExecutionErrors, "of_step", "(forth + 2) * peak * tiny(run)", "0", partial(folded.executions_underflow, "products")),
    Mutation(ExecutionErrors, "of_step", "peak * numbers", "0", partial(folded.executions_underflow, "weights")),
    Mutation(ExecutionErrors, "of_step", "_kept(", "(lambda loss, *size: loss)(", folded.executions_overflow),
]  # fmt: skip

LINES = [
    Mutation(CurveLines, "with_rounding", "(3 if self.turn is None else 8)", "(0 if self.turn is None else 8)",
        partial(laws.slopes_are_rounded, True)),
    Mutation(CurveLines, "with_rounding", "(3 if self.turn is None else 8)", "(3 if self.turn is None else 0)",
        partial(laws.slopes_are_rounded, False)),
    Mutation(CurveLines, "with_rounding", "alpha=terms * u", "alpha=0.5 * terms * u", partial(laws.offsets_are_summed, "offset")),
    Mutation(CurveLines, "with_rounding", "self.offset.abs() + self.band.abs()", "self.band.abs()",
        partial(laws.offsets_are_summed, "offset")),
    Mutation(CurveLines, "with_rounding", "self.offset.abs() + self.band.abs()", "self.offset.abs()",
        partial(laws.offsets_are_summed, "band")),
    Mutation(CurveLines, "with_rounding", "4 * tiny(self.slope.dtype)", "0", partial(laws.lines_underflow, "offset")),
    Mutation(CurveLines, "with_rounding", "1 + far", "torch.ones_like(far)",
        partial(laws.lines_underflow, "slope")),
    Mutation(CurveLines, "with_rounding", "2 * errors.rows.adds(node)", "0", partial(SENT, "bent")),
    Mutation(CurveLines, "with_rounding", "2 * errors.rows.adds(node)", "0.5 * errors.rows.adds(node)", partial(SENT, "bent")),
    Mutation(CurveLines, "with_rounding", "owed + reach * handed[0]", "owed + reach * handed[0] / 2",
        partial(laws.lines_hold, "handed")),
    Mutation(CurveLines, "with_rounding", "execution + reach * handed[1]", "execution + reach * handed[1] / 2",
        partial(laws.lines_hold, "execution")),
    Mutation(CurveLines, "with_rounding", "execution = own[1]", "execution = None if own[1] is None else own[1] / 2",
        partial(laws.lines_hold, "curve")),
    Mutation(CurveLines, "of", "band + missed + more", "band", TANGENT),
    Mutation(curve_lines, "moved", "4 * unit(found.dtype)", "0", MOVED),
    Mutation(curve_lines, "moved", "(rise.abs() + offset.abs() + behind.abs())", "found.abs()", MOVED),
    Mutation(CurveLines, "folded", "(self.owed, self.execution)", "(self.execution,)",
        partial(laws.slopes_are_rounded, True, folded=True)),
    Mutation(CurveLines, "folded", "(self.owed, self.execution)", "(self.owed,)", partial(laws.lines_hold, "folded")),
    Mutation(optimised_lines.LineRange, "of", "CurveLines(2 * slope", "CurveLines(0 * slope", laws.means_are_rounded),
    Mutation(optimised_lines.LineRange, "of", "owed=2 * missed", "owed=0", partial(laws.means_are_rounded, "moved")),
    Mutation(optimised_lines.LineRange, "of", "None, 2 * offset, missed", "None, 0 * offset, missed",
        partial(laws.means_are_rounded, "offset")),
    Mutation(optimised_lines.LineRange, "of", "reach=reach", "reach=reach / 2", partial(laws.means_hand_on, "lines")),
    Mutation(optimised_lines.LineRange, "of", "reach=reach", "reach=reach / 2", partial(laws.means_hand_on, "lines execution")),
    Mutation(tangent_lines.TangentRange, "_with_rounding", "reach=reach", "reach=reach / 2",
        partial(laws.means_hand_on, "tangents")),
    Mutation(tangent_lines.TangentRange, "_with_rounding", "reach=reach", "reach=reach / 2",
        partial(laws.means_hand_on, "tangents execution")),
]  # fmt: skip

PASSES = [
    Mutation(BackwardPass, "_count_from", "u * wide.sizes().over(center.abs())", "0 * wide.sizes().over(center.abs())",
        laws.passes_count_from_references),
    Mutation(BackwardPass, "_count_from", "u * wide.sizes().over(center.abs())", "u / 2 * wide.sizes().over(center.abs())",
        laws.passes_count_from_references),
    Mutation(BackwardPass, "_count_from", "tiny(self.constant.dtype)", "tiny(self.constant.dtype) / 2",
        laws.passes_count_from_small_references),
    Mutation(BackwardPass, "settle", "parts.abs().sum(0)", "0 * parts.abs().sum(0)", partial(laws.constants_are_shifted, "sum")),
    Mutation(BackwardPass, "settle", "parts.abs().sum(0)", "0 * parts.abs().sum(0)",
        partial(laws.constants_are_shifted, "rounded")),
    Mutation(BackwardPass, "settle", " + self.radius", "", partial(laws.constants_are_shifted, "radius")),
    Mutation(BackwardPass, "settle", "rounds = gamma(len(parts) + 1", "rounds = 0.5 * gamma(1",
        partial(laws.constants_are_shifted, "sum")),
    Mutation(BackwardPass, "settle", "torch.stack([self.owed, *self._debts]).sum(0)", "self.owed",
        partial(laws.passes_pay, "arrival")),
    Mutation(BackwardPass, "settle", "torch.stack([self.execution, *self._losses]).sum(0)", "self.execution",
        partial(laws.passes_pay, "execution")),
    Mutation(BackwardPass, "_pay", "size.over(owed[0])", "size.over(owed[0]) / 2", partial(laws.passes_pay, "start")),
    Mutation(BackwardPass, "_pay", "size.over(owed[1])", "size.over(owed[1]) / 2", partial(laws.passes_pay, "execution")),
    Mutation(BackwardPass, "run", "self._pay(node, function)", "pass", partial(laws.passes_pay, "arrival")),
    Mutation(BackwardPass, "_through_curve", "self._owe(found.owed, found.execution)", "pass", partial(laws.passes_pay, "curve")),
    Mutation(BackwardPass, "_begin", "errors.rows.lost(start)", "0 * errors.rows.lost(start)", laws.passes_underflow),
]  # fmt: skip

ENDS = [
    Mutation(pass_ends, "_over", "gamma(terms, half.dtype)", "0.5 * gamma(terms, half.dtype)", partial(laws.rows_over_boxes, True)),
    Mutation(pass_ends, "_over", "gamma(terms, half.dtype)", "0.5 * gamma(terms, half.dtype)",
        partial(laws.rows_over_boxes, False)),
    Mutation(pass_ends, "_over", "size = 2 * detached(around)", "size = detached(around)", partial(laws.rows_over_boxes, True)),
    Mutation(pass_ends, "_over", "detached(around) + detached(sizes.over(values.errors.deviations.distance(node)))",
        "detached(around)",
        partial(laws.rows_over_boxes, False)),
    Mutation(pass_ends, "_over", " + 2 * small", "", laws.rows_over_boxes_underflow),
    Mutation(pass_ends, "_over", " + 2 * small", " + small", laws.rows_over_boxes_underflow),
    Mutation(pass_ends, "_rounding", "return gamma(", "return 0 * gamma(", laws.rows_over_other_sets),
    Mutation(pass_ends, "_rounding", "return gamma(", "return 0.5 * gamma(", laws.rows_over_other_sets),
    Mutation(pass_ends, "_rounding", "dot_terms(rows.shape[2:]) + 8", "8", laws.rows_over_other_sets),
    Mutation(pass_ends, "_rounding", " + last + small", " + last", laws.rows_over_other_sets_underflow),
    Mutation(pass_ends, "_rounding", "2 * entry.stored.numel()", "entry.stored.numel() / 2", laws.rows_over_other_sets_underflow),
    Mutation(pass_ends, "_rounding", " + last + small", " + small", partial(TAKEN, "below")),
    Mutation(pass_ends, "_rounding", "last + 2 * tiny(", "last + 0 * tiny(", partial(TAKEN, "below", about=True)),
    Mutation(pass_ends, "_rounding", "last + 2 * tiny(", "last + 0.5 * tiny(", partial(TAKEN, "below")),
    Mutation(pass_ends, "_rounding", "last + 2 * tiny(", "last + 0.5 * tiny(", partial(TAKEN, "below", about=True)),
    Mutation(pass_ends, "_rounding", "last + 2 * tiny(", "last + 0.5 * tiny(", partial(TAKEN, "spanned", about=True)),
    Mutation(pass_ends, "lower", "alpha=4 * unit(value.dtype)", "alpha=0", laws.lower_ends_are_added),
    Mutation(pass_ends, "both", "alpha=4 * unit(center.dtype)", "alpha=0", partial(laws.ends_are_added, "set")),
    Mutation(pass_ends, "both", "torch.add(ended.radius, detached(owed), alpha=ROOM)", "ended.radius",
        partial(laws.ends_are_added, "owed")),
    Mutation(pass_ends, "both", "torch.add(ended.radius, detached(owed), alpha=ROOM)", "ROOM * detached(owed)",
        partial(laws.ends_are_added, "radius")),
    Mutation(pass_ends, "both", "room + ended.execution", "room", partial(laws.ends_are_added, "execution")),
    Mutation(ClosedRows, "safe", "torch.sub(self.value, self.error, alpha=ROOM)", "self.value",
        partial(laws.ends_are_added, "owed", doubled=True)),
    Mutation(ClosedRows, "safe", "found - self.execution", "found", partial(laws.ends_are_added, "execution", doubled=True)),
    Mutation(ClosedRows, "safe", "torch.sub(self.value, self.error, alpha=ROOM)", "self.value",
        partial(laws.ends_are_added, "set", doubled=True)),
    Mutation(BackwardPass, "_double", "self.owed.repeat(1, 2)", "0 * self.owed.repeat(1, 2)",
        partial(laws.ends_are_added, "owed", doubled=True)),
    Mutation(BackwardPass, "_double", "self.radius.repeat(1, 2)", "0 * self.radius.repeat(1, 2)",
        partial(laws.ends_are_added, "radius", doubled=True)),
    Mutation(certifier_bounds, "bounds_of", "error, run = found.owed", "error, run = 0 * found.owed",
        laws.bounds_state_their_error),
]  # fmt: skip

MUTATIONS = [*NUMBERS, *STEPS, *HANDED, *BOXES, *FOLDED, *LINES, *PASSES, *ENDS]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("law", laws_of(MUTATIONS), ids=name_of)
def test_the_law_holds(law):
    law()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_law_fails_when_it_must(mutation, monkeypatch):
    mutation.fails(monkeypatch)
