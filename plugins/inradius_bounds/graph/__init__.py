"""Networks that are no chain of layers: their computation is captured and laid out as a chain of states."""
