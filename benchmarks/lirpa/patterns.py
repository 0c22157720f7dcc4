"""Small random networks with attention, max-pooling, gates and GELU, ten instances each."""

import copy
import math
from collections.abc import Callable
from functools import partial

import attrs
import torch
from torch import Tensor, nn

import inradius
from inradius import ThreatModel


class Attention(nn.Module):
    """One block: softmax attention beside a skip connection; the logits are read from the mean of the tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mixed = (nn.Linear(width, width) for _ in range(4))
        self.out, self.scale = nn.Linear(width, 10), 1 / math.sqrt(width)

    def forward(self, x: Tensor) -> Tensor:
        shares = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) * self.scale, dim=-1)
        h: Tensor = self.out((x + self.mixed(shares @ self.value(x))).mean(1))
        return h


class GatesOverRows(nn.Module):
    """An LSTM over the rows of an image, with a linear layer for each gate; the logits are read from its last output.

    The peer refuses ``nn.LSTM`` and ``nn.LSTMCell`` (see ``refusals``).
    """

    def __init__(self, inputs: int = 8, width: int = 24) -> None:
        super().__init__()
        self.below = nn.ModuleList(nn.Linear(inputs, width) for _ in range(4))
        self.before = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.out = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h, c = None, None
        for step in range(x.shape[1]):
            gates = [layer(x[:, step]) for layer in self.below]
            if h is not None:
                gates = [gate + layer(h) for gate, layer in zip(gates, self.before, strict=True)]
            written, kept, shown = (gate.sigmoid() for gate in gates[:3])
            new = written * gates[3].tanh()
            c = new if c is None else kept * c + new
            h = shown * c.tanh()
        found: Tensor = self.out(h)
        return found


def max_pools() -> nn.Module:
    """Two convolutions with max-pooling for images of 28 × 28 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 7 * 7, 10),
    )  # fmt: skip


def gelus() -> nn.Module:
    """Two hidden layers of 128 GELUs for images of 28 × 28 pixels."""
    layers = (nn.Linear(784, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 10))
    return nn.Sequential(nn.Flatten(), *layers)


@attrs.frozen(eq=False)
class Pattern:
    """Random networks of one kind with random inputs. gauss: true for inputs from a normal distribution."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    eps: float
    gauss: bool = False

    def instance(self, seed: int, inputs: int = 1) -> tuple[nn.Module, Tensor]:
        """The network and its inputs, (inputs, *shape)."""
        torch.manual_seed(seed)
        net = self.build().eval()
        return net, (torch.randn if self.gauss else torch.rand)(inputs, *self.shape)

    @property
    def threat(self) -> ThreatModel:
        return inradius.make(f"linf(eps={self.eps!r}, bounds=None)", ThreatModel)

    def box(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The ends of the set."""
        return x - self.eps, x + self.eps


PATTERNS = {
    "attention_16": Pattern(partial(Attention, 32), (16, 32), 0.02, gauss=True),
    "attention_4": Pattern(partial(Attention, 16), (4, 16), 0.02, gauss=True),
    "max_pool_cnn": Pattern(max_pools, (1, 28, 28), 0.01),
    "lstm": Pattern(GatesOverRows, (8, 8), 0.05),
    "gelu_net": Pattern(gelus, (1, 28, 28), 0.01),
}


def for_peer(net: nn.Module) -> nn.Module:
    """The network with the peer's own GELU in place of torch's, which it refuses."""
    from auto_LiRPA.operators.gelu import GELU

    net = copy.deepcopy(net)
    for path, layer in list(net.named_modules()):
        if isinstance(layer, nn.GELU):
            above, _, name = path.rpartition(".")
            setattr(net.get_submodule(above), name, GELU())
    return net
