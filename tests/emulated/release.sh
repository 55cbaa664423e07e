#!/usr/bin/env bash
# What an operator does to a deployed stack, tried on the emulated cloud: the smoke test, the pre-traffic hook, another model without a
# compiler, and back, past the versions of a canary that failed. rollback.py has the other histories. Called by tests/deployed.sh, with the environment of the AWS CLI.
#
# usage: release.sh STACK URL
set -euo pipefail
cd "$(dirname "$0")/../.."
stack=$1 url=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
expect() {
  local found
  found=$(curl -sS "$url/v1/openapi.json" | python3 -c 'import json, sys; print(json.load(sys.stdin)["info"]["version"])')
  [ "$found" = "$2" ] || { echo "$1: the model is $found, not $2"; exit 1; }
  echo "$1: the model is $found"
}
version=$(sed -n 's/^version: *"\{0,1\}\([^" ]*\)"\{0,1\}.*/\1/p' model.yaml)

infra/smoke.sh "$url"
aws lambda invoke --function-name "CodeDeployHook_$stack" "$work/hook" > /dev/null
grep -q '"status": *"Succeeded"' "$work/hook" || { echo "the pre-traffic hook: $(cat "$work/hook")"; exit 1; }
echo "the pre-traffic hook: $(cat "$work/hook")"

# Changed by hand, and put back.
physical() {
  aws cloudformation describe-stack-resource --stack-name "$stack" --logical-resource-id "$1" --output text \
    --query StackResourceDetail.PhysicalResourceId
}
logs=$(physical DataApiLogs)
retained() { aws logs put-retention-policy --log-group-name "$logs" --retention-in-days "$1"; }
infra/drift.sh "$stack"
days=$(aws logs describe-log-groups --log-group-name-prefix "$logs" --query 'logGroups[0].retentionInDays' --output text)
retained 1
if infra/drift.sh "$stack" > "$work/drift"; then echo "a log group was changed by hand, and infra/drift.sh says nothing"; exit 1; fi
grep DataApiLogs "$work/drift"
retained "$days"
infra/drift.sh "$stack"

release() {
  sed "s/^version: .*/version: $1/" model.yaml > "$work/model.yaml"
  infra/model.sh "$stack" "$work/model.yaml" --no-confirm-changeset --no-progressbar > "$work/log" 2>&1 || { tail -n 40 "$work/log"; exit 1; }
  expect "after infra/model.sh" "$1"
}
docs=$(physical DocsFunction)
served() { aws lambda get-alias --function-name "$docs" --name live --query FunctionVersion --output text; }
expect_served() { [ "$(served)" = "$2" ] || { echo "$1: docs serves $(served), not $2"; exit 1; }; }

expect "as deployed" "$version"
if infra/rollback.sh "$stack" > "$work/refused" 2>&1; then echo "the first release was taken back"; exit 1; fi
grep "nothing was changed" "$work/refused" || { cat "$work/refused"; exit 1; }
expect_served "after a rollback that was refused" 1
release 99.0.0
before=$(served)
# What a canary that was taken back leaves behind: a version that nothing serves, with another configuration.
aws lambda update-function-configuration --function-name "$docs" --description "taken back" > /dev/null
aws lambda publish-version --function-name "$docs" > /dev/null
release 99.1.0
infra/rollback.sh "$stack"
expect "after infra/rollback.sh" 99.0.0
expect_served "after infra/rollback.sh" "$before"
infra/drift.sh "$stack"
infra/rollback.sh "$stack"
expect "after another infra/rollback.sh" "$version"
expect_served "after another infra/rollback.sh" 1
