"""Methods of certified training with the one number that trades clean accuracy for certificates."""

from collections.abc import Sequence

import attrs

from inradius.errors import InputError

DIAL = "{dial}"


@attrs.frozen
class Method:
    """A defense as a spec with a place for its dial, and the values that the dial takes."""

    name: str
    template: str
    dials: tuple[float, ...]

    def spec(self, dial: float) -> str:
        """The spec of the defense at a value of the dial."""
        return self.template.replace(DIAL, repr(float(dial)))


METHODS = {
    method.name: method
    for method in (
        # the last weight κ of the clean loss: Gowal et al. 2018 take 0.5
        Method("certified", "certified(kappa={dial})", (0.0, 0.25, 0.5, 0.75, 0.9)),
        # Zhang et al. 2020 take 0, and 0.5 on CIFAR-10
        Method("crown_ibp", "crown_ibp(kappa={dial})", (0.0, 0.25, 0.5, 0.75, 0.9)),
        # λ: Müller et al. 2023 take 0.4 on MNIST at 0.1, and 0.1 to 0.7 elsewhere
        Method("sabr", "sabr(small={dial})", (0.1, 0.2, 0.4, 0.7, 1.0)),
        # α: De Palma et al. 2024 take 0.004 to 0.5, by the radius
        Method("mtl_ibp", "mtl_ibp(alpha={dial})", (0.01, 0.1, 0.3, 0.5, 0.8)),
        # the thesis, section 3.3, trains each stage without a clean loss
        Method("network_cascade", "network_cascade(certified(kappa={dial}), stages=2)", (0.0, 0.25, 0.5, 0.75, 0.9)),
        # Wong and Kolter 2018 have no clean loss
        Method(
            "convex_adversarial", "convex_adversarial(kappa={dial}, first_kappa={dial})", (0.0, 0.25, 0.5, 0.75, 0.9)
        ),
    )
}

USUAL = ("certified", "crown_ibp", "sabr", "mtl_ibp")


def method_of(given: str, dials: Sequence[float]) -> Method:
    """The method of a name, or of a spec with ``{dial}`` in it, at these dials, or at its own where there are none.

    Raises ``InputError`` for any other text, and for a spec of its own without dials.
    """
    if DIAL in given:
        if not dials:
            raise InputError(
                f"{given} has a dial of its own and no values; give --dial for each, as in --dial 0.1 --dial 0.5"
            )
        return Method(given, given, tuple(float(dial) for dial in dials))
    known = METHODS.get(given)
    if known is None:
        raise InputError(
            f"{given!r} is no method of certified training; allowed are {', '.join(METHODS)}, and a spec with {DIAL} in it, as in "
            "'certified(crown(), kappa={dial})'"
        )
    return attrs.evolve(known, dials=tuple(float(dial) for dial in dials)) if dials else known
