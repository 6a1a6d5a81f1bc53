"""How good an estimate is: object keypoint similarity, and COCO's average precision."""
