"""The pieces of the bracket: the job, its stages, the run folder, the audit, and the search for contradictions."""
