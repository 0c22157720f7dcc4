"""Transport plans and the distance between images."""
