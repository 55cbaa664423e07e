#!/usr/bin/env python3
"""Sizes of functions, as they are and as the zip that is uploaded.

usage: sizes.py NAME=BOOTSTRAP ...
"""
import io
import os
import sys
import zipfile

print("\n| function | bootstrap | zip |\n|---|---|---|")
for argument in sys.argv[1:]:
    name, path = argument.split("=", 1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "bootstrap")
    print(f"| {name} | {os.path.getsize(path) / 1e6:.1f} MB | {len(packed.getvalue()) / 1e6:.1f} MB |")
