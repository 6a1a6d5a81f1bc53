"""What makes files of the repository: programs to run from its folder, `python -m tools.make_clip`."""
