"""Errors with one-line messages.

Every error that a user can cause or encounter is a `PoseError`. Its message is one line: what was found, what is
expected, what to do. A script prints the line and exits with `exit_code`. (`posecv.run.pipeline` counts inputs that
fail while others succeed.)
"""


class PoseError(Exception):
    """The base class of all errors that posecv raises on purpose."""

    exit_code = 2  # nothing was done


class UsageError(PoseError):
    """An invalid option or argument, or a contradiction between several."""


class InputError(PoseError):
    """An image, folder or array that cannot be used."""


class ModelError(PoseError):
    """A network's files that are missing, damaged or not supported."""


class DeviceError(PoseError):
    """A device, a package or an OpenCV that is not available."""


class OutputError(PoseError):
    """A result that could not be written."""


def reason(error: OSError) -> str:
    """The system's message for an error, in lower case."""
    return (error.strerror or str(error)).lower()
