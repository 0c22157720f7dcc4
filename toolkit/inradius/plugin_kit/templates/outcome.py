"""An outcome: what counts as a broken example."""

import attrs
from torch import Tensor

from inradius import Outcome
from inradius.components import validators
from inradius.components.validators import as_float


@attrs.frozen(kw_only=True)
class AcmeName(Outcome):
    """Broken where the label's logit leads the largest other one by less than ``lead``."""

    # a change of every output by t changes the margin by at most 2 t
    in_output_units = True

    lead: float = attrs.field(default=0.5, validator=validators.positive, converter=as_float)

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        label = outputs.gather(1, y[:, None])
        return label[:, 0] - outputs.scatter(1, y[:, None], -float("inf")).amax(1) - self.lead
