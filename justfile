# Habits of this project; `just` lists them.

_default:
    @just --list

# what CI demands before anything else: format, lints
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# bans, licences and sources of the dependencies
deny:
    tests/deny.sh

# all tests on the embedded stores
test *ARGS:
    cargo test --workspace {{ARGS}}

# serve model.yaml with the demo data on http://127.0.0.1:3000
dev *ARGS:
    cargo run -- {{ARGS}}

# serve with the functions under `cargo lambda watch`, rebuilt at every change (start `just watch` beside it; `just dev` loads the demo)
dev-lambda:
    cargo run -- --no-demo --functions-url http://127.0.0.1:9000

# the functions for `just dev-lambda`, on its stores
watch:
    RUSTC=$(rustup which rustc) cargo lambda watch --invoke-address 127.0.0.1 --env-file .holdfast/functions.env

# one function, once, on the stores of a running `just dev-lambda`: just invoke data-api health
invoke FUNCTION EVENT:
    cargo lambda invoke --invoke-address 127.0.0.1 {{FUNCTION}} --data-file tests/events/{{FUNCTION}}-{{EVENT}}.json

# build, deploy on an emulated AWS on loopback, test through its API Gateway
deploy-local:
    tests/deployed.sh

# all functions under `cargo lambda watch`, the local gateway before them, the same tests
watched:
    tests/watched.sh

# what CI runs
ci:
    .ci/run
