"""Draw the images of the README: `pip install pillow`, then `python -m docs.pictures` in the repository's folder."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import posecv

DOCS = Path(__file__).resolve().parent
SAMPLES = DOCS.parent / "samples"
UNSEEN = ("camera.jpg", "grace_hopper.jpg")  # no network here was trained on these two


def animation(step: int = 3, width: int = 320, colors: int = 48) -> None:
    """Write samples/clip.mp4 with skeletons as a small GIF."""
    frames = []
    for result in posecv.stream(SAMPLES / "clip.mp4", step=step):
        size = width, round(width * result.frame.shape[0] / result.frame.shape[1])
        photograph, drawn = (
            cv2.resize(frame, size, interpolation=cv2.INTER_AREA)[..., ::-1]
            for frame in (result.frame, posecv.draw_people(result.frame.copy(), result.people))
        )
        # Palettes have few colours: the photograph gets its own, the skeletons get theirs as well.
        own = np.array(result.people.skeleton.colors, np.uint8)[:, ::-1].ravel().tolist()
        ground = Image.fromarray(photograph).quantize(colors, dither=Image.Dither.NONE)
        palette = Image.new("P", (1, 1))
        palette.putpalette([*ground.getpalette()[: 3 * colors], *own])
        skeletons = Image.fromarray(drawn).quantize(palette=palette, dither=Image.Dither.NONE)
        changed = np.abs(drawn.astype(int) - photograph).max(axis=2) > 16
        image = Image.fromarray(np.where(changed, skeletons, ground).astype(np.uint8), "P")
        image.putpalette(palette.getpalette())
        frames.append(image)
    frames[0].save(DOCS / "clip.gif", save_all=True, append_images=frames[1:], duration=40 * step, loop=0)


def unseen(height: int = 400) -> None:
    """Write the photographs that no network here was trained on, side by side."""
    pictures = []
    for result in posecv.stream([SAMPLES / name for name in UNSEEN]):
        drawn = posecv.draw_people(result.frame.copy(), result.people)
        width = round(height * drawn.shape[1] / drawn.shape[0])
        pictures.append(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(DOCS / "unseen.jpg"), np.hstack(pictures), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    animation()
    unseen()
