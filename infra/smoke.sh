#!/usr/bin/env bash
# Whether a deployed API answers, as somebody without credentials sees it.
#
# usage: infra/smoke.sh URL
set -euo pipefail
url=${1:?usage: infra/smoke.sh URL}
check() {
  local found
  found=$(curl --silent --show-error --output /dev/null --max-time 30 --retry 3 --retry-connrefused --write-out '%{http_code}' "$url$1")
  [ "$found" = "$2" ] || { echo "GET $1: $found, not $2"; exit 1; }
  echo "GET $1: $found"
}
check /v1/_health 200
check /v1/_health/ready 200
check /v1/openapi.json 200
check /v1/_me 401
check /v1/no-such-thing 404
