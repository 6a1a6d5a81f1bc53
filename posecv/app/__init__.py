"""The command lines: the four scripts, `posecv` itself, and their options."""
