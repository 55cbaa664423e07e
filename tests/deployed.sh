#!/usr/bin/env bash
# The real template, built by cargo-lambda, deployed by the SAM CLI onto an emulated AWS on loopback, and tested through its
# emulated API Gateway. Needs no AWS account and no containers; installs its tools into .ci/tools. Ends only what it started.
#
# IAM is enforced: every function has its role's rights and no others.
#
# usage: tests/deployed.sh            everything
#        tests/deployed.sh tools      only install the tools
#        HOLDFAST_BINARIES=DIR HOLDFAST_TESTS="BINARY" tests/deployed.sh    DIR/NAME/bootstrap and a compiled test in place of builds
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
tools=$root/.ci/tools
venv=$tools/venv
pins="ministack==1.5.33 aws-sam-cli==1.167.0 cargo-lambda==1.9.2 boto3==1.43.102 awscli==1.46.2 cfn-lint==1.53.3 cbor2==6.2.1"
checkov="checkov==3.3.30"
say() { printf '\n== %s\n' "$*"; }

install_tools() {
  if [ "$(cat "$tools/pins" 2>/dev/null)" != "$pins $checkov" ]; then
    say "tools: $pins $checkov"
    python3 -m venv "$venv"
    # shellcheck disable=SC2086  # a list of words
    "$venv/bin/pip" install --quiet --no-compile --disable-pip-version-check $pins
    # It wants other versions of what the others want too.
    python3 -m venv "$tools/checkov"
    "$tools/checkov/bin/pip" install --quiet --no-compile --disable-pip-version-check "$checkov"
    echo "$pins $checkov" > "$tools/pins"
  fi
}

mkdir -p "$tools"
install_tools
[ "${1:-}" != tools ] || exit 0
export PATH="$venv/bin:$PATH" SAM_CLI_TELEMETRY=0

say "template"
AWS_DEFAULT_REGION=us-east-1 sam validate --lint --template-file template.yaml
cfn-lint template.yaml
"$tools/checkov/bin/checkov" --config-file infra/checkov.yaml
AWS_DEFAULT_REGION=us-east-1 "$venv/bin/python3" tests/emulated/canary.py template.yaml
AWS_DEFAULT_REGION=us-east-1 "$venv/bin/python3" tests/emulated/combinations.py template.yaml

say "histories of releases"
"$venv/bin/python3" tests/emulated/rollback.py

binaries=${HOLDFAST_BINARIES:-$root/target/lambda}
case "$(uname -m)" in
  aarch64 | arm64) architecture=arm64 ;;
  *) architecture=x86_64 ;;
esac
if [ -z "${HOLDFAST_BINARIES:-}" ]; then
  say "functions (profile ci)"
  # cargo-lambda drops the toolchain that rustup chose, and a dependency's own rust-toolchain.toml would then choose another.
  RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
  export RUSTC
  packages=()
  for function in functions/*/; do packages+=(--package "holdfast-$(basename "$function")"); done
  cargo lambda build --profile ci "${packages[@]}"
fi
du -ch "$binaries"/*/bootstrap

say "emulated AWS"
state=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-deployed.XXXXXX")
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
endpoint=http://127.0.0.1:$port
emulator=
finish() {
  local status=$?
  if [ -n "$emulator" ]; then
    # its own session: the functions that it started end with it
    kill -TERM -- "-$emulator" 2>/dev/null || true
    for _ in $(seq 50); do kill -0 -- "-$emulator" 2>/dev/null || break; sleep 0.1; done
    kill -KILL -- "-$emulator" 2>/dev/null || true
  fi
  [ "$status" -eq 0 ] || { echo "--- the emulator's last words"; tail -n 40 "$state/log" 2>/dev/null || true; }
  rm -rf "$state"
  exit "$status"
}
trap finish EXIT
mkdir "$state/home" "$state/keys"
# A clean environment, since functions inherit it. HOLDFAST_LOCAL_KEYS lets the functions take the tokens that the tests sign.
env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$state/home" LANG=C.UTF-8 TMPDIR="$state" \
  GATEWAY_PORT="$port" AUTH=true BIND_HOST=127.0.0.1 IOT_MTLS_ENABLED=0 HOLDFAST_LOCAL_KEYS="$state/keys" \
  AWS_ENDPOINT_URL="$endpoint" AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 \
  setsid "$venv/bin/python3" tests/emulated/aws.py > "$state/log" 2>&1 < /dev/null &
emulator=$!
for attempt in $(seq 300); do
  curl -s -o /dev/null "$endpoint/_ministack/health" && break
  [ "$attempt" -lt 300 ] || { echo "the emulator does not answer"; exit 1; }
  sleep 0.1
done
export AWS_ENDPOINT_URL=$endpoint AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1

say "deploy"
"$venv/bin/python3" tests/emulated/package.py template.yaml "$binaries" > "$state/packaged.yaml"
sam deploy --template-file "$state/packaged.yaml" --stack-name holdfast --resolve-s3 \
  --capabilities CAPABILITY_IAM --no-confirm-changeset --no-progressbar \
  --parameter-overrides "Architecture=$architecture" Environment=test Canary=true
"$venv/bin/python3" tests/emulated/outputs.py holdfast > "$state/outputs"
# shellcheck source=/dev/null
. "$state/outputs"

url="$endpoint/_aws/execute-api/$ApiId/\$default"
say "black-box tests through the emulated API Gateway"
HOLDFAST_TEST_URL="$url" HOLDFAST_TEST_KEYS="$state/keys" HOLDFAST_TEST_KEY="$FirstKey" \
  ${HOLDFAST_TESTS:-cargo test --workspace --test deployed --} --include-ignored

say "two instances of a function"
"$venv/bin/python3" tests/emulated/instances.py holdfast "$url" "$FirstKey"

say "files that nothing refers to"
"$venv/bin/python3" tests/emulated/leftovers.py holdfast "$url" "$FilesBucketName" "$FirstKey"

say "usage in CloudWatch"
"$venv/bin/python3" tests/emulated/usage.py holdfast "$url" "$FirstKey"

say "notices through SNS"
tests/emulated/notices.sh holdfast "$url" "$NoticesTopicArn" "$FirstKey"

say "the audit trail in a locked bucket"
tests/emulated/audit.sh holdfast "$AuditBucketName"

say "releasing and going back"
tests/emulated/release.sh holdfast "$url"

say "every parameter at once"
tests/emulated/parameters.sh "$state/packaged.yaml" "$architecture"
