"""A table of two rows and two seeds that takes a second, as files."""

RECIPE = """
about = "a toy"
source = "madry2018"
defense = "adversarial(pgd(steps=2, keep_maximising=True))"
model = "mlp(64, 8, 10)"
threat = "linf(eps=0.1)"
batch_size = 20
optimizer = "sgd"
lr = 0.1
evaluated_on = "subset(digits, count=40)"
evaluated_with = ["fgsm()"]
monitors = ["under_attack(fgsm(), data='subset(digits, count=40)')"]

[small]
data = "subset(digits(split='train'), count=80)"
epochs = 3
validation = 0.25

[paper]
data = "npz('{folder}/images.npz')"
epochs = 30
momentum = 0.5
unlike = ["the toy prints nothing"]
"""

TABLE = """
title = "A toy"
source = "madry2018"
place = "nowhere, table 1"
claim = "Nothing."
seeds = { small = 2 }

[unlike]
small = ["digits are digits"]

[[columns]]
name = "clean"
measure = "clean"

[[columns]]
name = "robust"
measure = "attacked"
attack = { paper = "pgd()", small = "fgsm()" }
weights = "last"
error = true

[[columns]]
name = "proved"
measure = "certified"
certifier = "interval"
threat = { paper = "l2(eps=0.1)", small = "linf(eps=0.02)" }
percent = false

[[columns]]
name = "best"
measure = "epochs"
key = "under_attack/fgsm"
take = "max"

[[columns]]
name = "end"
measure = "epochs"
key = "under_attack/fgsm"
epochs = 2

[[columns]]
name = "gap"
measure = "difference"
of = ["best", "end"]

[[rows]]
name = "PGD"
recipe = "RECIPE"
printed = { clean = [90.5, 0.25], robust = 40 }

[[rows]]
name = "standard | plain"
recipe = "RECIPE"
with = { defense = "standard" }
small = { lr = 0.05 }
printed = { clean = 99 }
"""


def write_toy(folder, table=TABLE, recipe=RECIPE):
    """The file of the toy's table, and that of its recipe beside it."""
    (folder / "toy-recipe.toml").write_text(recipe)
    path = folder / "toy.toml"
    path.write_text(table.replace("RECIPE", str(folder / "toy-recipe.toml")))
    return path
