"""The recipe of our own networks; needs PyTorch, which nothing else here does."""

HELD_OUT = 20  # images of COCO whose id this divides are kept from training, to choose epochs and constants on
