"""From a model to the operators that run: one example is computed, and every operator of torch on the way is recorded."""
