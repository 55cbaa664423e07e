#!/usr/bin/env bash
# /v1/_usage/metrics as others read it: the older text format by `promtool check metrics` (it lints names and help too), OpenMetrics by the
# strict parser of Prometheus' Python client. Unpacks promtool from Debian's package `prometheus` without installing that. Ends only what
# it started.
#
# usage: tests/metrics.sh [tools]     tools: only install the tools
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
tools=$root/.ci/tools/promtool
pins="prometheus-client==0.23.1"
say() { printf '\n== %s\n' "$*"; }

install_tools() {
  if [ ! -x "$tools/usr/bin/promtool" ]; then
    local work
    work=$(mktemp -d)
    chmod 755 "$work"
    apt-get update -qq
    (cd "$work" && apt-get download -qq prometheus && mkdir -p "$tools" && dpkg -x prometheus_*.deb "$tools")
    rm -rf "$work"
  fi
  if [ "$(cat "$tools/venv/pins" 2> /dev/null)" != "$pins" ]; then
    python3 -m venv "$tools/venv"
    # shellcheck disable=SC2086  # a list of words
    "$tools/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check $pins
    echo "$pins" > "$tools/venv/pins"
  fi
}

install_tools
[ "${1:-}" != tools ] || exit 0
. tests/local.sh
[ -n "${HOLDFAST_BUILT:-}" ] || build_local
start_local
admin=$(token_of admin)
call() { curl -sS -g -o /dev/null -w '%{http_code} ' -H "Authorization: Bearer $admin" "$@"; }
say "some of everything"
for path in /v1/books /v1/books /v1/books/nobody '/v1/books?sort=nonsense' /v1/vouchers /v1/_me /nowhere; do call "$url$path"; done
call -X POST -H 'Content-Type: application/json' -d '{"id": "lint", "name": "Lint & Söhne \"quoted\""}' "$url/v1/publishers"
call -H 'Authorization: Bearer none' "$url/v1/books"

get() { curl -sSf -H "Authorization: Bearer $admin" -H "Accept: $1" -D "$state/headers" "$url/v1/_usage/metrics" > "$state/$2" && grep -i '^content-type' "$state/headers"; }
say "the older text format"
get text/plain classic
grep -qi '^content-type: text/plain; version=0.0.4' "$state/headers"
"$tools/usr/bin/promtool" check metrics < "$state/classic"
say "OpenMetrics"
get 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1' openmetrics
grep -qi '^content-type: application/openmetrics-text; version=1.0.0' "$state/headers"
"$tools/venv/bin/python3" - "$state/openmetrics" "$state/classic" << 'EOF'
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as newer
from prometheus_client.parser import text_string_to_metric_families as older

def samples(parse, path):
    return {(one.name, tuple(sorted(one.labels.items()))) for family in parse(open(path).read()) for one in family.samples}

found, classic = samples(newer, sys.argv[1]), samples(older, sys.argv[2])
assert len(found) > 100, len(found)
# Asking for the one was counted before the other was asked for; nothing else lies between them.
assert classic <= found, classic - found
print(len(found), "samples")
EOF
say "done"
