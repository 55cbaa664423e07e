#!/usr/bin/env bash
# The deployed reporter exports the audit trail by the rights of its role, once, and what it put is locked: not even an administrator can
# delete or shorten it. Called by tests/deployed.sh, with the environment of the AWS CLI.
#
# usage: audit.sh STACK BUCKET
set -euo pipefail
cd "$(dirname "$0")/../.."
stack=$1 bucket=$2
# The schedule would call it within a minute.
reporter=$(aws cloudformation describe-stack-resource --stack-name "$stack" --logical-resource-id UsageReporterFunction \
  --query StackResourceDetail.PhysicalResourceId --output text)
for _ in 1 2; do
  failure=$(aws lambda invoke --function-name "$reporter:live" --payload "$(cat tests/events/usage-reporter-minute.json)" /dev/null --query FunctionError --output text)
  [ "$failure" = None ] || { echo "the tick failed: $failure"; exit 1; }
done
versions=$(aws s3api list-object-versions --bucket "$bucket" --query 'Versions[].[Key, VersionId]' --output text)
echo "$versions"
[ -z "$(cut -f1 <<< "$versions" | sort | uniq -d)" ] || { echo "an object was put twice"; exit 1; }
read -r key version <<< "$(head -n 1 <<< "$versions")"
[[ $key =~ ^audit/[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{4}-0000\.ndjson\.gz$ ]] || { echo "an odd key: $key"; exit 1; }
aws s3 cp --quiet "s3://$bucket/$key" - | gunzip > /dev/null
mode=$(aws s3api get-object-retention --bucket "$bucket" --key "$key" --query Retention.Mode --output text)
[ "$mode" = COMPLIANCE ] || { echo "locked: $mode"; exit 1; }
refused() { if "$@" > /dev/null 2>&1; then echo "not refused: $*"; exit 1; fi; }
refused aws s3api delete-object --bucket "$bucket" --key "$key" --version-id "$version"
refused aws s3api put-object-retention --bucket "$bucket" --key "$key" --retention '{"Mode": "COMPLIANCE", "RetainUntilDate": "2026-12-01T00:00:00Z"}'
echo "locked: $(aws s3api get-object-retention --bucket "$bucket" --key "$key" --query Retention.RetainUntilDate --output text)"
