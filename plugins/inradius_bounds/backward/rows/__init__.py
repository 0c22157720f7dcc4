"""Linear functions of a value, row by row: dense rows, windows of images, or single numbers."""
