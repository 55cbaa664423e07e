#!/usr/bin/env bash
# Whether a stack still is what its template says; lists what was changed by hand and fails then. Aliases that a canary or
# infra/rollback.sh moved are no drift, nor is the record of it.
#
# usage: infra/drift.sh STACK        needs the AWS CLI and the usual AWS environment
set -euo pipefail
stack=${1:?usage: infra/drift.sh STACK}
detection=$(aws cloudformation detect-stack-drift --stack-name "$stack" --query StackDriftDetectionId --output text)
while :; do
  status=$(aws cloudformation describe-stack-drift-detection-status --stack-drift-detection-id "$detection" \
    --query DetectionStatus --output text)
  [ "$status" = DETECTION_IN_PROGRESS ] || break
  sleep 5
done
[ "$status" = DETECTION_COMPLETE ] || { echo "drift detection: $status"; exit 1; }
drifted=$(aws cloudformation describe-stack-resource-drifts --stack-name "$stack" --output text \
  --stack-resource-drift-status-filters MODIFIED DELETED \
  --query "StackResourceDrifts[?ResourceType!='AWS::Lambda::Alias' && LogicalResourceId!='ReleaseRecord'].[LogicalResourceId,StackResourceDriftStatus]")
[ -z "$drifted" ] || { echo "$drifted"; exit 1; }
echo "$stack is what its template says"
