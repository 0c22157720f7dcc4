"""A small working component of each kind, which a new plugin begins with; ``AcmeName`` is replaced by its name."""
