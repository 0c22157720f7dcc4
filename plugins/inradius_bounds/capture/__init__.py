"""From a model to the operators that run: a run on one example is recorded, with every operator of torch in it."""
