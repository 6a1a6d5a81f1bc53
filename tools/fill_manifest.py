"""Write size and hashes of weights into models/MANIFEST.tsv, from the files that lie beside it.

Rows with mirrors stay as they are: their hashes say what others' weights should be.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from posecv.terminal import ends_unread

MODELS = Path(__file__).resolve().parent.parent / "models"


@ends_unread
def main(models: Path = MODELS) -> None:
    """Fill in the rows without mirrors whose weights are there."""
    manifest = models / "MANIFEST.tsv"
    header, *lines = [line.split("\t") for line in manifest.read_text(encoding="utf-8").splitlines()]
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    for row in rows:
        weights = models / row["weights"] / "pose.caffemodel"
        if row["mirrors"] == "-" and weights.is_file():
            data = weights.read_bytes()
            row["bytes"] = str(len(data))
            row["md5"], row["sha256"] = hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()
            print(f"{row['name']}: {len(data):,} bytes, MD5 {row['md5']}, SHA-256 {row['sha256']}")
    text = "".join("\t".join(cells) + "\n" for cells in [header, *(list(row.values()) for row in rows)])
    manifest.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
