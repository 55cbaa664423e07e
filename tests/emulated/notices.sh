#!/usr/bin/env bash
# A consumer who has used up most of a quota is told of: the notice goes through the outbox, the scheduled reporter and the topic of a
# deployed stack into a queue that subscribed to it. Called by tests/deployed.sh, with the environment of the AWS CLI.
#
# usage: notices.sh STACK URL TOPIC_ARN ADMIN_KEY
set -euo pipefail
cd "$(dirname "$0")/../.."
stack=$1 url=$2 topic=$3 admin=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
call() { curl -sS --fail-with-body -H "Authorization: Bearer $1" -H 'Content-Type: application/json' "${@:3}" "$url$2"; }

sqs() { aws sqs "$@" ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"}; } # the CLI looks for queues elsewhere otherwise
queue=$(sqs create-queue --queue-name heard --query QueueUrl --output text)
arn=$(sqs get-queue-attributes --queue-url "$queue" --attribute-names QueueArn --query Attributes.QueueArn --output text)
# Nobody but the topic may fill the queue, and without a policy the topic may not either.
python3 - "$arn" "$topic" > "$work/attributes" << 'PYTHON'
import json
import sys
queue, topic = sys.argv[1:]
allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue,
           "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
print(json.dumps({"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]})}))
PYTHON
sqs set-queue-attributes --queue-url "$queue" --attributes "file://$work/attributes"
aws sns subscribe --topic-arn "$topic" --protocol sqs --notification-endpoint "$arn" > /dev/null

call "$admin" /v1/_consumers/frugal -X PUT -d '{"plan": "free", "roles": ["public"], "overrides": {"day": {"limit": 5}}}' > /dev/null
key=$(call "$admin" /v1/_consumers/frugal/keys -X POST | python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])')
for _ in 1 2 3 4 5; do call "$key" "/v1/books?limit=1" > /dev/null; done

# The schedule would call it within a minute.
reporter=$(aws cloudformation describe-stack-resource --stack-name "$stack" --logical-resource-id UsageReporterFunction \
  --query StackResourceDetail.PhysicalResourceId --output text)
aws lambda invoke --function-name "$reporter:live" --payload "$(cat tests/events/usage-reporter-minute.json)" "$work/answer" > "$work/invoked"
! grep -q FunctionError "$work/invoked" || { echo "the reporter: $(cat "$work/answer")"; exit 1; }
heard=$(sqs receive-message --queue-url "$queue" --max-number-of-messages 10 --wait-time-seconds 10 --query 'Messages[].Body' --output text)
for wanted in quota.threshold frugal; do
  [[ $heard == *"$wanted"* ]] || { echo "no notice of $wanted arrived: $heard"; exit 1; }
done
echo "heard: ${heard:0:300}"
