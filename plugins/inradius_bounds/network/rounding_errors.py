"""All bounds on rounding errors of a network's bounds, in one place."""

import attrs

from inradius_bounds.network.box_errors import BoxErrors
from inradius_bounds.network.deviations import Deviations
from inradius_bounds.network.execution_errors import ExecutionErrors
from inradius_bounds.network.folded_boxes import FoldedBoxes
from inradius_bounds.network.magnitudes import Magnitudes
from inradius_bounds.network.network import Network
from inradius_bounds.network.protocols import NodeBounds
from inradius_bounds.network.row_errors import RowErrors
from inradius_bounds.rounding import Rounding


@attrs.frozen(eq=False)
class RoundingErrors:
    """The error bounds of a network's values, which share what they have computed.

    magnitudes: sizes of numbers; executions: errors of the model's own execution; deviations: distances from references;
    rows: errors of backward passes; boxes: errors of boxes; folded: boxes with their errors.
    """

    rounding: Rounding
    magnitudes: Magnitudes
    executions: ExecutionErrors
    deviations: Deviations
    rows: RowErrors
    boxes: BoxErrors
    folded: FoldedBoxes

    @classmethod
    def of(cls, network: Network, values: NodeBounds, rounding: Rounding) -> "RoundingErrors":
        """The error bounds of a network whose values have these bounds."""
        magnitudes = Magnitudes(network, values, rounding.dtype)
        executions = ExecutionErrors(magnitudes, rounding.execution)
        deviations = Deviations(magnitudes, executions)
        rows = RowErrors(magnitudes, executions, deviations)
        return cls(rounding, magnitudes, executions, deviations, rows, BoxErrors(rows), FoldedBoxes(executions))
