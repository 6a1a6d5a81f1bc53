"""Training of our own networks; the only part that needs PyTorch."""

HELD_OUT = 20  # images of COCO whose id this divides are kept from training, to choose epochs and constants on
