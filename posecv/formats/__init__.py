"""Network files: Caffe pairs, ONNX, and the way from one to the other, with NumPy alone."""
