"""`posecv`: one command for all scripts and tools.

    posecv team.jpg                      find everybody, show or save the result
    posecv people -i team.jpg -o out/    the same with the options of run_multi_pose.py

A word that is not a command is an input of `posecv people`.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Sequence

from posecv.app import batch, convert, degrade, domain, evaluate, listing, planning, scripts, smooth
from posecv.terminal import ends_unread, say

__all__ = ["main"]

Command = Callable[[Sequence[str], str], int]

# Command -> the function that gets the following words and the command's name, and a description.
COMMANDS: dict[str, tuple[Command, str]] = {
    "person": (scripts.run_pose, "one person in each image or video (run_pose.py)"),
    "people": (scripts.run_multi_pose, "everybody in each image or video (run_multi_pose.py)"),
    "hand": (scripts.run_hand, "one hand in each image, or the hands of people (run_hand.py)"),
    "live": (scripts.webcam_pose, "the people in front of a camera, in a window or on a web page (webcam_pose.py)"),
    "batch": (batch.main, "many images and videos, on all cores or a cluster, to Parquet tables"),
    "plan": (planning.main, "what a large batch would take: hours, storage, price"),
    "smooth": (smooth.main, "a recording of people with less jitter, without delay"),
    "evaluate": (evaluate.main, "the accuracy of models on labelled images"),
    "degrade": (degrade.main, "a folder of images made dark, blurred, coarse or noisy, to test with"),
    "domain": (domain.main, "whether images are normal, dark, blurred, coarse or noisy"),
    "convert": (convert.main, "a Caffe pair to an ONNX file"),
    "models": (listing.main, "the models that posecv knows, and where their files are"),
}
WELCOME = """posecv finds people's keypoints in images, videos and cameras.
  posecv team.jpg          find everybody and show the result, or save it where there is no display
  posecv live              start the webcam
  posecv --help            list the commands; posecv COMMAND --help lists its options"""


@ends_unread
def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(WELCOME)
        return 0
    if words[0] == "help" and len(words) == 2 and words[1] in COMMANDS:
        words = [words[1], "--help"]
    if words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if words[0] in COMMANDS:
        command, _ = COMMANDS[words[0]]
        return command(words[1:], f"posecv {words[0]}")
    if not words[0].startswith("-") and (meant := _misspelt(words[0])):
        said = f"{words[0]!r} is neither a command nor a file; did you mean {meant}?"
        say(f"posecv: {said} (posecv --help lists the commands)")
        return 2
    return scripts.run_multi_pose(_with_input(words), "posecv")


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {word:<{width}}  {what}" for word, (_, what) in COMMANDS.items()]
    usage = "usage: posecv FILE [FILE ...] [options of posecv people]\n       posecv COMMAND [options]"
    return "\n".join([usage, "", "commands:", *lines, "", "posecv COMMAND --help lists the options of a command."])


def _misspelt(word: str) -> str | None:
    """The command that a word is probably a misspelling of; None for an input."""
    if os.path.lexists(word) or not word.isalpha():
        return None
    nearest = difflib.get_close_matches(word.lower(), COMMANDS, n=1, cutoff=0.7)
    return nearest[0] if nearest else None


def _with_input(words: Sequence[str]) -> list[str]:
    """The words, with `-i` inserted before the leading inputs."""
    first = next((index for index, word in enumerate(words) if word.startswith("-") and word != "-"), len(words))
    return ["-i", *words] if first else list(words)


if __name__ == "__main__":
    sys.exit(main())
