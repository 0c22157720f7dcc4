"""What is kept on the disk: files that are whole or absent, that carry their checksum, and that a run lists as its own."""
