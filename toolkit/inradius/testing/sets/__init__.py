"""Laws of threat models, one function each; ``LAWS`` lists them all."""

from inradius.testing.components import spec_round_trip as spec_round_trip
from inradius.testing.sets.agreement import agrees_with_cvxpy as agrees_with_cvxpy
from inradius.testing.sets.batching import ignores_batch_mates as ignores_batch_mates
from inradius.testing.sets.batching import per_example_agrees_with_scaled as per_example_agrees_with_scaled
from inradius.testing.sets.batching import results_live_where_inputs_live as results_live_where_inputs_live
from inradius.testing.sets.enclosure import bound_affine_is_never_inside as bound_affine_is_never_inside
from inradius.testing.sets.enclosure import hull_is_never_inside as hull_is_never_inside
from inradius.testing.sets.enclosure import hull_of_a_box_is_the_set as hull_of_a_box_is_the_set
from inradius.testing.sets.enclosure import sketch_is_never_inside as sketch_is_never_inside
from inradius.testing.sets.membership import bad_inputs_are_refused as bad_inputs_are_refused
from inradius.testing.sets.membership import gauge_at_radius_zero as gauge_at_radius_zero
from inradius.testing.sets.membership import gauge_scales as gauge_scales
from inradius.testing.sets.membership import norm_is_that_of_the_gauge as norm_is_that_of_the_gauge
from inradius.testing.sets.membership import oracles_stay_inside as oracles_stay_inside
from inradius.testing.sets.membership import smaller_sets_are_inside as smaller_sets_are_inside
from inradius.testing.sets.membership import symmetric_sets_allow_the_way_back as symmetric_sets_allow_the_way_back
from inradius.testing.sets.membership import zero_is_inside as zero_is_inside
from inradius.testing.sets.projection import projection_fixes_members as projection_fixes_members
from inradius.testing.sets.projection import projection_is_nearest as projection_is_nearest
from inradius.testing.sets.projection import projection_is_nonexpansive as projection_is_nonexpansive
from inradius.testing.sets.projection import projection_moves_only_outsiders as projection_moves_only_outsiders
from inradius.testing.sets.support import linear_max_beats_samples as linear_max_beats_samples
from inradius.testing.sets.support import members_lie_below_support as members_lie_below_support
from inradius.testing.sets.support import steepest_climbs as steepest_climbs
from inradius.testing.sets.support import support_bound_is_above_support as support_bound_is_above_support
from inradius.testing.sets.support import support_bounds_linear_max as support_bounds_linear_max
from inradius.testing.sets.support import support_gradient_is_a_subgradient as support_gradient_is_a_subgradient
from inradius.testing.sets.support import support_is_sublinear as support_is_sublinear

LAWS = (
    spec_round_trip,
    zero_is_inside,
    oracles_stay_inside,
    smaller_sets_are_inside,
    symmetric_sets_allow_the_way_back,
    gauge_scales,
    norm_is_that_of_the_gauge,
    gauge_at_radius_zero,
    bad_inputs_are_refused,
    projection_fixes_members,
    projection_is_nearest,
    projection_is_nonexpansive,
    projection_moves_only_outsiders,
    linear_max_beats_samples,
    steepest_climbs,
    support_bounds_linear_max,
    members_lie_below_support,
    support_is_sublinear,
    support_gradient_is_a_subgradient,
    support_bound_is_above_support,
    hull_is_never_inside,
    bound_affine_is_never_inside,
    hull_of_a_box_is_the_set,
    sketch_is_never_inside,
    ignores_batch_mates,
    per_example_agrees_with_scaled,
    results_live_where_inputs_live,
    agrees_with_cvxpy,
)
