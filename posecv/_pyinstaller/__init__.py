"""The folder of posecv's PyInstaller hook; PyInstaller finds it by the package's entry point `pyinstaller40`."""

from pathlib import Path

__all__ = ["get_hook_dirs"]


def get_hook_dirs() -> list[str]:
    """The folders with hooks."""
    return [str(Path(__file__).parent)]
