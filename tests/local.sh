# Sourced by the scripts that need a running API: builds the binary as `cargo test` does, serves the demo in memory, makes tokens.
#   start_local    sets $url; what it serves ends with the script
#   token_of ROLE  prints a token of somebody in this role
holdfast=$root/target/debug/holdfast
state=
server=

build_local() {
  # With a test beside the binary cargo chooses the features that `cargo test` has built already.
  cargo build --workspace --bin holdfast --test process
}

start_local() {
  state=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-local.XXXXXX")
  "$holdfast" serve --memory --port 0 --data "$state" "$@" > "$state/log" 2>&1 &
  server=$!
  trap stop_local EXIT
  for attempt in $(seq 600); do
    url=$(sed -n 's/^listening on //p' "$state/log")
    [ -z "$url" ] || return 0
    kill -0 "$server" 2>/dev/null && [ "$attempt" -lt 600 ] || { cat "$state/log"; return 1; }
    sleep 0.1
  done
}

stop_local() {
  local status=$?
  [ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; }
  # A panic is a failure, whatever the client made of the answer.
  if grep -q 'panicked at' "$state/log"; then grep -A12 'panicked at' "$state/log"; status=1; fi
  [ "$status" -eq 0 ] || { echo "--- the server's last words"; grep -v eyJ "$state/log" | tail -n 20 | cut -c1-400; }
  rm -rf "$state"
  exit "$status"
}

# The demo's people: a plan that no test exhausts, and the claims that the role's rules read.
token_of() {
  local claims=()
  [ "$1" != customer ] || claims=(--claim customer_id=ada)
  "$holdfast" token --data "$state" --sub "${2:-$1}" --role "$1" --plan wholesale "${claims[@]}"
}
