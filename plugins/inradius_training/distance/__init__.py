"""Training on distances between the predictions of clean inputs, of attacked inputs, and of points between them."""

from inradius import Defense
from inradius_training.distance.fait import FAIT
from inradius_training.distance.fait_mer import FAITMER
from inradius_training.distance.hat import HAT
from inradius_training.distance.mart import MART
from inradius_training.distance.mer import MER
from inradius_training.distance.score import SCORE
from inradius_training.distance.trades import TRADES

DEFENSES: list[type[Defense]] = [TRADES, MART, SCORE, FAIT, MER, FAITMER, HAT]
