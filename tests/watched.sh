#!/usr/bin/env bash
# The functions behind the Lambda API of `cargo lambda watch`, each called once by `cargo lambda invoke` with its event of tests/events,
# and the local gateway in front of them: the same black-box tests as of a deployment. Ends only what it started.
#
# usage: tests/watched.sh                    the binaries of `cargo build --workspace --tests`, which cost no build of their own
#        HOLDFAST_WATCH=1 tests/watched.sh   watch builds and starts them itself, as a developer has it
#        HOLDFAST_TESTS=BINARY tests/watched.sh    nothing is built: target/debug and a compiled test are there
set -euo pipefail
cd "$(dirname "$0")/.."
tests/deployed.sh tools
PATH=$PWD/.ci/tools/venv/bin:$PATH
# cargo-lambda drops the toolchain that rustup chose.
RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
export PATH RUSTC
say() { printf '\n== %s\n' "$*"; }
state=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-watched.XXXXXX")
sessions=()
# A session of its own, so that what it starts ends with it.
start() {
  setsid "$@" > "$state/log-${#sessions[@]}" 2>&1 < /dev/null &
  sessions+=($!)
}
finish() {
  local status=$?
  for session in "${sessions[@]}"; do kill -TERM -- "-$session" 2>/dev/null || true; done
  sleep 1
  for session in "${sessions[@]}"; do kill -KILL -- "-$session" 2>/dev/null || true; done
  [ "$status" -eq 0 ] || tail -n 20 "$state"/log-*
  rm -rf "$state"
  exit "$status"
}
trap finish EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_answered() {
  for attempt in $(seq 600); do
    curl -s -o /dev/null "$1" && return
    sleep 0.1
  done
  echo "nothing answers at $1"
  exit 1
}
port=$(free_port)
lambda=$(free_port)

say "gateway and stores"
[ -n "${HOLDFAST_TESTS:-}" ] || cargo build --workspace --bins --tests
start target/debug/holdfast serve --data "$state/data" --port "$port" --no-demo --functions-url "http://127.0.0.1:$lambda"
until_answered "http://127.0.0.1:$port/v1/_health"

say "cargo lambda watch"
if [ -n "${HOLDFAST_WATCH:-}" ]; then
  start cargo lambda watch --ignore-changes --invoke-address 127.0.0.1 --invoke-port "$lambda" --timeout 1800 --env-file "$state/data/functions.env"
else
  start cargo-lambda lambda watch --only-lambda-apis --invoke-address 127.0.0.1 --invoke-port "$lambda"
fi
for attempt in $(seq 600); do
  (exec 3<> "/dev/tcp/127.0.0.1/$lambda") 2> /dev/null && break
  sleep 0.1
done
if [ -z "${HOLDFAST_WATCH:-}" ]; then
  for directory in functions/*/; do
    name=$(basename "$directory")
    # shellcheck disable=SC2046  # a list of words
    start env $(cat "$state/data/functions.env") AWS_LAMBDA_RUNTIME_API="http://127.0.0.1:$lambda/.rt/$name" AWS_LAMBDA_FUNCTION_NAME="$name" \
      AWS_LAMBDA_FUNCTION_VERSION=1 AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512 "target/debug/$name"
  done
fi

say "cargo lambda invoke, each function once"
invoke() {
  local answer
  answer=$(cargo-lambda lambda invoke --invoke-address 127.0.0.1 --invoke-port "$lambda" "$1" --data-file "tests/events/$1-$2.json")
  echo "$1 $2: ${answer:0:100}"
  [[ $answer == *"$3"* ]] || { echo "expected: $3"; exit 1; }
}
invoke authorizer no-credentials '"outcome":"invalid"'
invoke data-api health '"statusCode":200'
invoke download no-share '"statusCode":404'
invoke docs openapi '"statusCode":200'
invoke usage-reporter minute null

say "black-box tests through the local gateway"
HOLDFAST_TEST_URL="http://127.0.0.1:$port" HOLDFAST_TEST_KEYS="$state/data" \
  ${HOLDFAST_TESTS:-cargo test --workspace --test deployed --} --include-ignored --skip of_the_deployment
