#!/usr/bin/env bash
# Size, start, memory and CPU of the functions as they are deployed (profile release: fat LTO, one codegen unit), beside an SDK hello
# world with default settings in the same run; tables in Markdown on stdout. Nothing leaves the machine but the builds' downloads.
#
# usage: tests/measure/run.sh            builds what is missing first: half an hour on two cores from nothing
#        RUNS=20 REQUESTS=400 tests/measure/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/deployed.sh tools >&2
PATH=$PWD/.ci/tools/venv/bin:$PATH
# cargo-lambda drops the toolchain that rustup chose.
RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
export PATH RUSTC SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1
{
  cargo build --release --locked --manifest-path tests/measure/hello/Cargo.toml
  case "$(uname -m)" in aarch64 | arm64) architecture=arm64 ;; *) architecture=x86_64 ;; esac
  sam build --parameter-overrides "Architecture=$architecture"
  # The stores and the demo data; only the functions are measured.
  cargo build --workspace --bins --tests
} >&2

hello=tests/measure/hello/target/release/hello
sizes=("hello (yardstick)=$hello")
for function in functions/*/; do
  name=$(basename "$function")
  sizes+=("$name=target/lambda/$name/bootstrap")
done
tests/measure/sizes.py "${sizes[@]}"
tests/measure/coldstart.py "hello (yardstick)=$hello" data-api=target/lambda/data-api/bootstrap:tests/events/data-api-ready.json
tests/measure/cpu.py target/debug/holdfast target/lambda
