"""Linear functions of a value, row by row: dense, as windows of images, or of single numbers."""
