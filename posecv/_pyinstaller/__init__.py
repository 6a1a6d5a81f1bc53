"""Tells PyInstaller where its hook for posecv lies; the entry point `pyinstaller40` of the package names this."""

from pathlib import Path

__all__ = ["get_hook_dirs"]


def get_hook_dirs() -> list[str]:
    """The folders with hooks."""
    return [str(Path(__file__).parent)]
