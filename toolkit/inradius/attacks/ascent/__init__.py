"""What iterative gradient attacks share: the examples under attack, their gradient, the loop and the best iterates."""

from inradius.attacks.ascent.loop import Ascent as Ascent
from inradius.attacks.ascent.loop import Move as Move
from inradius.attacks.ascent.part import Part as Part
from inradius.attacks.ascent.part import gradient_of as gradient_of
from inradius.attacks.ascent.part import logit_difference as logit_difference
