"""Drawing: skeletons, labels and maps on frames."""
