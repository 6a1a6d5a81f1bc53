#!/usr/bin/env python3
"""Find the 21 keypoints of one hand in each picture. All of it is in posecv/; `--help` lists the options."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  # in words that every Python reads
    sys.stderr.write("posecv needs Python 3.10 or newer, this is %d.%d\n" % sys.version_info[:2])  # noqa: UP031
    sys.exit(2)

try:
    from posecv.app.scripts import run_hand
except ImportError as error:
    if error.name == "posecv":
        message = "run_hand.py needs the folder posecv/ beside it; tutorial/03_hand.py stands alone"
    else:
        message = "{} (python -m pip install -r requirements.txt installs what is needed)".format(error)  # noqa: UP032
    sys.stderr.write("run_hand.py: " + message + "\n")
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(run_hand())
