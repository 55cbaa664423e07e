#!/usr/bin/env bash
# Tries the pages that people see in a headless Chromium, against a local server in memory. Ends only what it started.
#
# usage: tests/browser.sh            everything; further words go to pytest (-k dashboard) and leave out the page of usage
#        tests/browser.sh tools      only install the tools
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
venv=$root/.ci/tools/browser-pytest
pins=$root/tests/browser/requirements.txt

install_tools() {
  if ! command -v chromium > /dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium > /dev/null
  fi
  if ! cmp -s "$pins" "$venv/pins"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --no-compile --disable-pip-version-check -r "$pins"
    cp "$pins" "$venv/pins"
  fi
}

install_tools
[ "${1:-}" != tools ] || exit 0
. tests/local.sh
[ -n "${HOLDFAST_BUILT:-}" ] || build_local
start_local
HOLDFAST_URL=$url
HOLDFAST_SCREENSHOTS=$root/.ci/tools/screenshots
HOLDFAST_TOKENS=$(for role in admin public customer packer partner; do printf '%s %s\n' "$role" "$(token_of "$role")"; done |
  python3 -c 'import json, sys; print(json.dumps(dict(line.split() for line in sys.stdin)))')
export HOLDFAST_URL HOLDFAST_SCREENSHOTS HOLDFAST_TOKENS
"$venv/bin/python3" -m pytest -q -p no:cacheprovider tests/browser "$@"
# The page of usage, with servers of its own.
[ $# -gt 0 ] || "$venv/bin/python3" tests/browser/usage.py "$holdfast" "$(command -v chromium)" "$HOLDFAST_SCREENSHOTS"
