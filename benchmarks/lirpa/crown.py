"""``crown`` beside CROWN on convolutional networks: cost, memory and tightness."""

import argparse

import torch
from images import images, normalized
from networks import CROWN, SEVEN
from sides import best_of, bounded, grown, on_pixels, ours, pixels_within, report_growth, theirs
from torch import Tensor, nn

HEAD = (
    f"{'network':16} {'batch':>5} {'eps':>5} {'unstable':>9}  {'theirs s':>9} {'ours s':>9} {'ratio':>7}   {'their MB':>7} "
    f"{'our MB':>6}   {'min gain':>10} {'mean gain':>10} {'|bound|':>9}"
)


def unstable(peer: nn.Module) -> float:
    """The share of the neurons that the peer's last bounds leave unstable."""
    sides = [(node.inputs[0].lower, node.inputs[0].upper) for node in peer.relus]
    return float(torch.cat([((low < 0) & (high > 0)).flatten() for low, high in sides]).double().mean())


def compare_crown(case: str, batch: int, options: argparse.Namespace) -> None:
    """A line on one network and batch."""
    found = CROWN[case]
    net, (x, _) = found.build(), images()
    x = x[:batch]
    y = net(normalized(x)).argmax(1)
    peer = bounded(net, normalized(x))
    runs = {
        "theirs": theirs(peer, normalized(x), y, pixels_within(x, found.eps), "CROWN"),
        "ours": ours(on_pixels(net), x, y, found.threat, "crown()", options.claim),
    }
    seconds, lower = best_of(runs, options.repeats)
    gain = lower["ours"] - lower["theirs"]
    sizes = [grown(options, side, case, str(batch)) if options.memory else float("nan") for side in ("theirs", "ours")]
    spent, share = (seconds["theirs"], seconds["ours"]), 100 * unstable(peer)
    print(
        f"{case:16} {batch:5} {255 * found.eps:5.2f} {share:7.1f} %  {spent[0]:9.3f} {spent[1]:9.3f} {spent[1] / spent[0]:7.2f}   "
        f"{sizes[0]:7.0f} {sizes[1]:7.0f}   {float(gain.min()):+10.2e} {float(gain.mean()):+10.2e} "
        f"{float(lower['theirs'].abs().mean()):9.2e}",
        flush=True,
    )


def measure_crown(side: str, name: str, batch: int, claim: str) -> None:
    """Prints by how much the process grows to bound some images."""
    case = SEVEN if name == "seven" else CROWN[name]
    net, x = case.build(), images()[0][:batch]
    y = net(normalized(x)).argmax(1)

    def run() -> Tensor:
        if side == "ours":
            return ours(on_pixels(net), x, y, case.threat, "crown()", claim)()
        box = pixels_within(x, case.eps)
        return theirs(bounded(net, normalized(x)), normalized(x), y, box, "CROWN")()

    report_growth(run)
