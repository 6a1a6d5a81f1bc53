"""`python -m posecv`."""

import sys

from posecv.app.main import main

if __name__ == "__main__":
    sys.exit(main())
