#!/usr/bin/env bash
# COCO's own files for `python -m training.pack coco`: pictures of people and their keypoints.
#
#     training/fetch_coco.sh FOLDER [2017|2014]
#
# train2017 has 18 GB, val2017 1 GB, annotations 0.25 GB (2014: 13, 6 and 0.25 GB). A broken download goes on when this is
# run again. Needs curl and unzip.
set -euo pipefail

folder=${1:?usage: training/fetch_coco.sh FOLDER [2017|2014]}
year=${2:-2017}
case $year in 2017 | 2014) ;; *) echo "there is 2017 and 2014, not $year" >&2; exit 2 ;; esac
address=${COCO_ADDRESS:-http://images.cocodataset.org}
for program in curl unzip; do
    command -v "$program" >/dev/null || { echo "$program is missing: install it first" >&2; exit 2; }
done
mkdir -p "$folder"
cd "$folder"
for path in "annotations/annotations_trainval$year.zip" "zips/val$year.zip" "zips/train$year.zip"; do
    archive=${path##*/}
    [ -e "$archive.done" ] && continue
    curl --fail --location --continue-at - --output "$archive" "$address/$path"
    unzip -q -o "$archive"
    touch "$archive.done"
    rm "$archive"
done
echo "now: python -m training.pack coco --data $folder --to cache/coco"
