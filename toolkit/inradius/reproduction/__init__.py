"""The tables of the papers: their rows run, and printed beside what came out."""
