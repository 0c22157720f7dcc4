"""Files on the disk that are complete or absent, carry their checksum, and are listed by their run."""
