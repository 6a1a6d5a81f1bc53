"""Measure how good estimates are: object keypoint similarity, and COCO's average precision."""
