"""Bounds on Lipschitz constants."""

import math

import torch
from torch import Tensor, nn

# maps that are 1-Lipschitz in every norm that is monotone in the entries' sizes
_CONTRACTIONS = (nn.Flatten, nn.Unflatten, nn.Identity, nn.ReLU, nn.Tanh, nn.Softplus)


def lipschitz_bound(network: nn.Module) -> float:
    """An L with |f(a) − f(b)| ≤ L ‖a − b‖₂ for all a and b: the product of the layers' norms.

    It is infinite where the network is not a sequence of layers, or has a layer whose norm is unknown here. The product
    is exact for one layer and usually loose for several.
    """
    if isinstance(network, nn.Sequential):
        norms = [lipschitz_bound(layer) for layer in network]
        # tested before the product, because infinity times a layer of zeros is NaN
        return math.inf if math.inf in norms else math.prod(norms)
    return layer_norm(network)


@torch.no_grad()
def layer_norm(layer: nn.Module) -> float:
    """A bound on the Lipschitz constant of one layer, infinite where none is known here."""
    if isinstance(layer, nn.Linear):
        return float(torch.linalg.matrix_norm(layer.weight.double(), 2))
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
        kernels = layer.weight.double().reshape(layer.groups, layer.out_channels // layer.groups, -1)
        return math.sqrt(windows(layer)) * float(torch.linalg.matrix_norm(kernels, 2).max())
    if isinstance(layer, nn.LeakyReLU):
        return max(1.0, abs(layer.negative_slope))
    return 1.0 if isinstance(layer, _CONTRACTIONS) else math.inf


def windows(layer: nn.Conv2d) -> int:
    """The largest number of windows κ that read an entry of the input.

    A convolution applies its kernel, a matrix K (F, C·h·w), to every window of the input, and the windows hold each
    entry at most κ times: ‖f(x)‖² ≤ ‖K‖² κ ‖x‖². Window and entry meet at offset k · dilation ≡ const (mod stride), so
    κ = ∏ ⌈size / (stride / gcd(stride, dilation))⌉ over the two axes.
    """
    axes = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    return math.prod(math.ceil(size / (stride // math.gcd(stride, dilation))) for size, stride, dilation in axes)


def slopes(critic: nn.Module, points: Tensor, *, create_graph: bool = False) -> Tensor:
    """‖∇f‖₂ at each point, (B,)."""
    with torch.enable_grad():
        at = points.detach().requires_grad_()
        gradient: Tensor = torch.autograd.grad(critic(at).sum(), at, create_graph=create_graph)[0]
    length: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return length
