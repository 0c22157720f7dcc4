"""Threat models: sets Δ(x) of allowed perturbations, known through their oracles."""
