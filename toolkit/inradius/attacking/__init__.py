"""``inradius.attack``: one call that attacks tensors, arrays or lists."""
