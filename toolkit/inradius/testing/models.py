"""Laws of models, one function each; ``LAWS`` lists them all."""

import attrs
import torch
from torch import Tensor, nn

from inradius.components.registry import make


@attrs.frozen(eq=False)
class Built:
    """A subject of the laws of models: the spec, and the network that it builds, in eval mode."""

    spec: str
    model: nn.Module

    @classmethod
    def of(cls, spec: str) -> "Built":
        """The network that the spec names."""
        return cls(spec, make(spec, nn.Module).eval())

    def outputs(self, x: Tensor) -> Tensor:
        """The outputs for inputs x (B, *S), in the type of the weights."""
        kind = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), torch.float32)
        with torch.no_grad():
            found: Tensor = self.model(x.to(kind))
        return found

    def __str__(self) -> str:
        return self.spec


def outputs_are_finite(built: Built, x: Tensor) -> None:
    """A batch (B, *S) gives a tensor of finite numbers with B rows."""
    found = built.outputs(x)
    assert isinstance(found, Tensor), f"the model returns a {type(found).__name__}; it must return a tensor"
    assert found.ndim >= 1, "the model returns one number; it must return a row for each example"
    assert len(found) == len(x), f"{len(x)} examples have outputs of shape {tuple(found.shape)}"
    assert bool(found.isfinite().all()), "an output is NaN or infinite"


def equal_calls_give_equal_outputs(built: Built, x: Tensor) -> None:
    """In eval mode the same batch gives the same outputs, bit for bit."""
    assert torch.equal(built.outputs(x), built.outputs(x)), "two equal calls give different outputs"


def batch_mates_change_nothing(built: Built, x: Tensor) -> None:
    """In eval mode an example has the same outputs alone, up to rounding."""
    alone = torch.cat([built.outputs(x[row : row + 1]) for row in range(len(x))])
    torch.testing.assert_close(built.outputs(x), alone, rtol=1e-3, atol=1e-4)


def equal_specs_build_equal_networks(built: Built, x: Tensor) -> None:
    """The same spec builds a network whose weights have the same names and shapes."""
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (built.model, make(built.spec, nn.Module))]
    assert shapes[0] == shapes[1], "built again, the network has other weights"


def the_state_dict_is_the_network(built: Built, x: Tensor) -> None:
    """A network of the same spec with the other's state dict gives the same outputs in eval mode, bit for bit."""
    other = Built.of(built.spec)
    other.model.load_state_dict(built.model.state_dict())
    assert torch.equal(built.outputs(x), other.outputs(x)), "with the same weights and buffers, the outputs are others"


LAWS = (
    outputs_are_finite,
    equal_calls_give_equal_outputs,
    batch_mates_change_nothing,
    equal_specs_build_equal_networks,
    the_state_dict_is_the_network,
)
