"""The bracket: options, plan, run and its stages, the run folder, the referee, contradictions, and the result as a value."""
