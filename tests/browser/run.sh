#!/usr/bin/env bash
# Looks at the page of usage in headless Chromium (Debian's package `chromium`, or CHROMIUM=/path): real calls of a real server, and
# generated data for what takes months. Screenshots go to the directory that is given, if any.
#
# usage: tests/browser/run.sh [SCREENSHOTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=.ci/tools/browser
pins="playwright==1.56.0"
if [ "$(cat "$venv/pins" 2>/dev/null)" != "$pins" ]; then
  python3 -m venv "$venv"
  # shellcheck disable=SC2086  # a list of words
  "$venv/bin/pip" install --quiet --disable-pip-version-check $pins
  echo "$pins" > "$venv/pins"
fi
cargo build
"$venv/bin/python" tests/browser/usage.py target/debug/holdfast "${CHROMIUM:-/usr/bin/chromium}" "${1:-}"
