"""What tests of captioning metrics need: Java, or a program that passes for it."""

import shutil
from pathlib import Path

import pytest

needs_java = pytest.mark.skipif(shutil.which('java') is None, reason='there is no java on the PATH')


def fake_java(folder: Path, script: str) -> Path:
    """Write a shell script called java, and return the folder to put on the PATH."""
    java = folder / 'java'
    java.write_text(f'#!/bin/sh\n{script}\n')
    java.chmod(0o755)
    return folder


PASSES_FOR_JAVA = """case "$*" in
*PTBTokenizer*) cat;;
*meteor*) {meteor};;
esac"""
METEOR_OF_A_QUARTER = PASSES_FOR_JAVA.format(  # of up to three videos
    meteor='while read line; do case $line in SCORE*) echo 1 2;; '
    "EVAL*) printf '0.25\\n%.0s' 1 2 3 4;; esac; done"
)
# METEOR of a checksum of what it gets, for up to four videos; everything else is run by the real Java.
METEOR_OF_CHECKSUMS = """case "$*" in
*meteor*) while read -r line; do sum=$(printf '%s' "$line" | cksum); case $line in
    SCORE*) echo "$sum";;
    EVAL*) for video in 1 2 3 4 all; do echo "0.${{sum%% *}}"; done;; esac; done;;
*) exec {java} "$@";;
esac"""
