#!/usr/bin/env bash
# Takes a stack back by one release: the alias `live` of each function moves to the version before, with its code, its model and
# its variables. Tables, roles and routes stay as they are. The next deployment moves the aliases on.
#
# usage: infra/rollback.sh STACK        needs the AWS CLI and the usual AWS environment
set -euo pipefail
stack=${1:?usage: infra/rollback.sh STACK}
aliases=$(aws cloudformation describe-stack-resources --stack-name "$stack" --output text \
  --query "StackResources[?ResourceType=='AWS::Lambda::Alias'].PhysicalResourceId")
for arn in $aliases; do
  function=${arn%:live}
  now=$(aws lambda get-alias --function-name "$function" --name live --query FunctionVersion --output text)
  before=$(aws lambda list-versions-by-function --function-name "$function" --query 'Versions[].Version' --output text |
    tr -s '[:space:]' '\n' | grep -E '^[0-9]+$' | sort -n | awk -v now="$now" '$1 < now' | tail -n 1)
  if [ -z "$before" ]; then
    echo "${function##*:}: $now is its first version, it stays"
    continue
  fi
  aws lambda update-alias --function-name "$function" --name live --function-version "$before" \
    --routing-config AdditionalVersionWeights={} > /dev/null
  echo "${function##*:}: $now -> $before"
done
