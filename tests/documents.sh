#!/usr/bin/env bash
# The documents of every role of the demo, looked at by others: linters, a validator, schemathesis against a running server,
# generated clients. Installs its tools from npm and PyPI into .ci/tools. Ends only what it started.
#
# usage: tests/documents.sh [tools | lint | fuzz | clients]     without a word: everything
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
node=$root/.ci/tools/documents-node
venv=$root/.ci/tools/documents-python
here=$root/tests/documents
roles="public packer partner customer admin"
what=${1:-all}
say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

install_tools() {
  if ! cmp -s "$here/package.json" "$node/package.json"; then
    mkdir -p "$node"
    # What comes along runs nothing of its own; the pins are complete once npm has written its lock there.
    npm install --prefix "$node" --ignore-scripts --no-fund --no-audit --silent --no-save \
      $(node -p 'Object.entries(require("'"$here"'/package.json").dependencies).map(([name, version]) => name + "@" + version).join(" ")')
    cp "$here/package.json" "$node/package.json"
  fi
  if ! cmp -s "$here/requirements.txt" "$venv/pins"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --no-compile --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/pins"
  fi
}

# A document without a server, for the address of a real deployment.
document() { "$holdfast" openapi --role "$1" --url https://api.paper-lantern.test > "$state/$1.json"; }

lint() {
  cp "$here/spectral.yaml" "$here/redocly.yaml" "$node/"
  for role in $roles; do
    say "linters: $role"
    document "$role"
    "$venv/bin/openapi-spec-validator" "$state/$role.json"
    (cd "$node" && npx spectral lint --quiet --fail-severity hint --ruleset spectral.yaml "$state/$role.json")
    (cd "$node" && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx redocly lint --config redocly.yaml "$state/$role.json" 2> "$state/redocly") ||
      { cat "$state/redocly"; exit 1; }
  done
}

# Every check of schemathesis, links from answer to request, always the same seed. Administrators have a server and a processor of
# their own: what they delete, another role might be looking for.
fuzz() {
  (start_local && fuzz_roles admin > "$state/told" 2>&1 || failed=1; cat "$state/told"; exit "${failed:-0}") &
  local administrators=$! failed=0
  (start_local && fuzz_roles ${roles/admin/}) || failed=1
  wait "$administrators" || failed=1
  return "$failed"
}

fuzz_roles() {
  local role failed=0
  for role; do
    say "schemathesis: $role"
    case "$role" in
      # What is valid and what is not, by every keyword of every schema.
      public | admin) schemathesis "$role" || failed=1 ;;
      # These have parts of an administrator's document: what is not valid of it has been tried there. What is valid is tried for
      # each, and beside it values and links by chance.
      *)
        schemathesis "$role" --phases coverage --mode positive || failed=1
        schemathesis "$role" --phases examples,fuzzing,stateful || failed=1
        ;;
    esac
  done
  return "$failed"
}

schemathesis() {
  local role=$1 checks=()
  shift
  # OPTIONS is asked without credentials, as browsers do: Allow names the methods that some role has, which are all of an
  # administrator's and more than another's.
  [ "$role" = admin ] || checks=(--exclude-checks allow_header_conformance)
  "$venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run "$url/v1/openapi.json" \
    --header "Authorization: Bearer $(token_of "$role")" "${checks[@]}" "$@" \
    --max-examples 8 --seed 20261121 --workers 1 --no-shrink --warnings off > "$state/fuzz" 2>&1 ||
    { cut -c1-600 "$state/fuzz" | tail -n 250; return 1; }
  tail -n 4 "$state/fuzz"
}

clients() {
  local token
  token=$(token_of admin)
  curl -sf -H "Authorization: Bearer $token" "$url/v1/openapi.json" > "$state/live.json"
  say "TypeScript client"
  mkdir "$state/typescript"
  ln -s "$node/node_modules" "$state/typescript/node_modules"
  cp "$here/client.ts" "$here/tsconfig.json" "$state/typescript/"
  echo '{"type": "module"}' > "$state/typescript/package.json"
  (cd "$state/typescript" && npx openapi-typescript "$state/live.json" --default-non-nullable=false --output schema.d.ts && npx tsc && node client.js "$url" "$token")
  # It knows no text but JSON and warns that it leaves out CSV, OpenMetrics and the page: those are not for such a client.
  say "Python client"
  (cd "$state" && PATH=$venv/bin:$PATH openapi-python-client generate --path live.json --meta none --output-path bookshop > generated) || { cat "$state/generated"; exit 1; }
  "$venv/bin/python3" -m compileall -q "$state/bookshop"
  PYTHONPATH=$state "$venv/bin/python3" "$here/client.py" "$url" "$token"
}

install_tools
[ "$what" != tools ] || exit 0
. tests/local.sh
[ -n "${HOLDFAST_BUILT:-}" ] || build_local
start_local
case "$what" in
  all) lint && clients && fuzz ;;
  lint | fuzz | clients) "$what" ;;
  *) echo "what is $what?"; exit 2 ;;
esac
say "done"
