"""The recipe of our own networks; needs PyTorch, which nothing else here does."""
