"""What auto_LiRPA refuses of the patterns, and where its bounds are above values that the network takes."""

import torch
from sides import bounded
from torch import Tensor, nn

import inradius
from inradius import Certifier, Property


class Shifted(nn.Module):
    """(x − 0.5) / 0.25 before a small network, as normalisations are written."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net((x - torch.full((6,), 0.5)) / torch.full((6,), 0.25))
        return found


class Rows(nn.Module):
    """A recurrent layer over rows."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.cell, nn.LSTMCell):
            h, c = self.cell(x[:, 0])
            found: Tensor = self.cell(x[:, 1], (h, c))[0]
        else:
            found = self.cell(x)[0][:, -1]
        return found


def show_refusals() -> None:
    """The first line of what the peer says of each layer."""
    layers = {
        "nn.GELU": (nn.Sequential(nn.Linear(8, 8), nn.GELU()), torch.rand(1, 8)),
        "nn.LSTMCell": (Rows(nn.LSTMCell(8, 4)), torch.rand(1, 2, 8)),
        "nn.LSTM": (Rows(nn.LSTM(8, 4, batch_first=True)), torch.rand(1, 2, 8)),
        "nn.MultiheadAttention": (Heads(), torch.rand(1, 4, 8)),
        "nn.MaxPool2d(3, 2)": (nn.Sequential(nn.MaxPool2d(3, 2), nn.Flatten()), torch.rand(1, 1, 7, 7)),
    }
    for name, (net, x) in layers.items():
        try:
            _crown(net.eval(), x, float("inf"), 0.01)
        except Exception as error:
            print(f"refused: {name}: {type(error).__name__}: {str(error).splitlines()[0][:150]}", flush=True)
        else:
            print(f"not refused: {name}", flush=True)


class Heads(nn.Module):
    """Attention with two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.heads(x, x, x, need_weights=False)[0]
        return found


def _crown(net: nn.Module, x: Tensor, norm: float, eps: float) -> Tensor:
    """The peer's lower bounds of a network's outputs, (1, n)."""
    from auto_LiRPA import BoundedTensor, PerturbationLpNorm

    given = BoundedTensor(x, PerturbationLpNorm(norm=norm, eps=eps))
    with torch.no_grad():
        lower: Tensor = bounded(net, x).compute_bounds(x=(given,), method="CROWN", bound_upper=False)[0]
    return lower


def show_unsound() -> None:
    """An ℓ2 ball before a normalisation: the peer's bounds, ours, and the least values of random members of the set."""
    net, eps = Shifted().eval(), 0.3
    x = torch.rand(1, 6, generator=torch.Generator().manual_seed(1))
    delta = torch.randn(200_000, 6, generator=torch.Generator().manual_seed(2))
    delta = eps * delta / delta.norm(dim=1, keepdim=True)
    with torch.no_grad():
        seen = net(x + delta).amin(0)
    prop = Property(torch.eye(3).expand(1, 3, 3), torch.zeros(1, 3))
    threat = inradius.make(f"l2(eps={eps}, bounds=None)", inradius.ThreatModel)
    own = inradius.make("crown()", Certifier)(net, x, None, threat, prop=prop).lower[0]
    rows = {"theirs": _crown(net, x, 2.0, eps)[0], "seen": seen, "ours": own}
    print(
        f"l2, radius {eps}, (x - 0.5) / 0.25 before two layers, x = {[round(float(v), 4) for v in x[0]]}:", flush=True
    )
    for name, values in rows.items():
        print(f"  {name:7} {[round(float(v), 4) for v in values]}", flush=True)
