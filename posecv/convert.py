"""`python -m posecv.convert PROTOTXT CAFFEMODEL [ONNX]`: the command lives in `posecv.app.convert`."""

import sys

from posecv.app.convert import main

if __name__ == "__main__":
    sys.exit(main())
