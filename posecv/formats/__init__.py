"""Network files: Caffe pairs, ONNX, and conversion from one to the other, using only NumPy."""
