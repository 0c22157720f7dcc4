"""Recipes: trainings as papers describe them, in TOML files, each at the paper's scale and at a small one."""
