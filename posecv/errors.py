"""What can go wrong, said in one line.

Every error that a user can cause or meet is a `PoseError`. Its message is one clear line: what was found, what
would have been right, what to do. A script that it ends prints that line and exits with `exit_code`. (What fails on the
way, while other inputs are done, is `posecv.run.pipeline`'s to count.)
"""


class PoseError(Exception):
    """The base of all errors that posecv raises on purpose."""

    exit_code = 2  # nothing could be done as asked


class UsageError(PoseError):
    """Options that contradict each other or have no meaning."""


class InputError(PoseError):
    """An image, folder or array that cannot be used."""


class ModelError(PoseError):
    """A pair of files that is missing, damaged or not understood."""


class DeviceError(PoseError):
    """A device or an OpenCV that is not there."""


class OutputError(PoseError):
    """A result that could not be written."""


def reason(error: OSError) -> str:
    """The system's own words for what went wrong, in lower case."""
    return (error.strerror or str(error)).lower()
