#!/usr/bin/env bash
# Takes a stack back by one release: the alias `live` of each function that the release moved goes back to the version that was live
# before, with its code, its model and its variables; the others stay. Run again, it goes back one more. Tables, roles and routes stay
# as they are, and so do records that the release has written.
#
# What was live before is read from the history of the parameter ReleaseRecord, which every release and every rollback writes; version
# numbers say nothing, since a canary that was taken back leaves its versions behind. Where the history does not tell, or the aliases
# are not where it has them, nothing is changed and the script fails. The next deployment moves the aliases of what it changes on.
#
# usage: infra/rollback.sh STACK        needs Python, the AWS CLI and the usual AWS environment
set -euo pipefail
stack=${1:?usage: infra/rollback.sh STACK}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
refuse() { echo "$stack: $*; nothing was changed" >&2; exit 1; }

status=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text)
case "$status" in
  UPDATE_COMPLETE_CLEANUP_IN_PROGRESS) ;; # every alias has moved
  *_IN_PROGRESS) refuse "it is $status; 'aws cloudformation cancel-update-stack' takes back a release that is under way" ;;
esac
resources() { # describe-stack-resources would end at a hundred
  aws cloudformation list-stack-resources --stack-name "$stack" --output text --query "StackResourceSummaries[?$1].[PhysicalResourceId]"
}
record=$(resources "LogicalResourceId=='ReleaseRecord'")
[ -n "$record" ] || refuse "it was deployed before releases were recorded, so what was live before is not known"
aws ssm get-parameter-history --name "$record" --output json > "$work/history"

# What the aliases serve at this moment.
: > "$work/live"
for alias in $(resources "ResourceType=='AWS::Lambda::Alias'"); do
  aws lambda get-alias --function-name "${alias%:*}" --name "${alias##*:}" --output json >> "$work/live"
done

cat > "$work/plan.py" <<'PLAN'
"""Writes what is to be done: the new record (nothing if it is there already), and a line `ALIAS VERSION` for each alias to be moved."""
import json
import sys

history, live, record, moves = sys.argv[1:]


def number(version):
    return version.rsplit(":", 1)[-1]


def states(entries):
    """The states that were live, one upon the other, and the one that the last rollback left. A release says what CloudFormation
    believes: it moves what it changes, and what a rollback took back stays so where it changes nothing. What CloudFormation believed
    before, it puts back after a release that failed when its record was written. A state that is there already was gone back to."""
    stack, beliefs, left = [], [{}], None
    for entry in entries:
        now = told = {alias: number(version) for alias, version in entry["live"].items()}
        left = stack[-1] if stack and entry["by"] == "rollback" else None
        if entry["by"] == "release":
            kept = {alias: version for alias, version in (stack[-1] if stack else {}).items() if alias in told}
            now = {**kept, **{alias: version for alias, version in told.items() if beliefs[-1].get(alias) != version}}
            if told in beliefs:
                stack, beliefs = stack[:-1], beliefs[: beliefs.index(told)]
            beliefs.append(told)
        stack = [*(stack[: stack.index(now)] if now in stack else stack), now]
    return stack, left


with open(history) as file:
    entries = sorted(json.load(file)["Parameters"], key=lambda entry: entry["Version"])
stack, left = states([json.loads(entry["Value"]) for entry in entries])
found = {}
decoder = json.JSONDecoder()
with open(live) as file:
    text = file.read().strip()
while text:
    alias, end = decoder.raw_decode(text)
    text = text[end:].strip()
    found[alias["AliasArn"]] = alias["FunctionVersion"]
    if (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
        sys.exit(f"{alias['AliasArn']} is shifting its traffic: a release is under way")
known = stack[-1]
if left and found != known and found.keys() == known.keys() and all(v in (left.get(a), known[a]) for a, v in found.items()):
    print("the last rollback was not finished; it is now")
    target = known
elif found != known:
    wrong = [f"{alias} serves {found.get(alias)}, recorded is {known.get(alias)}" for alias in sorted({*found, *known}) if found.get(alias) != known.get(alias)]
    sys.exit("it was changed by other means than releases, so what was live before is not known: " + "; ".join(wrong))
elif len(stack) < 2:
    sys.exit("nothing is recorded of what was live before")
elif stack[-2].keys() != known.keys():
    sys.exit("the release brought or took functions, which only a deployment of the release before can undo")
else:
    target = stack[-2]
    with open(record, "w") as file:
        json.dump({"by": "rollback", "live": {alias: f"{alias.rsplit(':', 1)[0]}:{version}" for alias, version in target.items()}}, file)
with open(moves, "w") as file:
    file.writelines(f"{alias} {found[alias]} {target[alias]}\n" for alias in sorted(target) if found[alias] != target[alias])
PLAN
python3 "$work/plan.py" "$work/history" "$work/live" "$work/record" "$work/moves" 2> "$work/why" || refuse "$(cat "$work/why")"

while read -r alias now before; do
  aws lambda get-function-configuration --function-name "${alias%:*}" --qualifier "$before" > /dev/null ||
    refuse "version $before of ${alias%:*}, which was live before, is gone"
done < "$work/moves"
# The record goes first: should this end halfway, the next run knows where it was going.
[ ! -e "$work/record" ] || aws ssm put-parameter --name "$record" --overwrite --value "file://$work/record" > /dev/null
failed=
while read -r alias now before; do
  function=${alias%:*}
  if aws lambda update-alias --function-name "$function" --name "${alias##*:}" --function-version "$before" \
    --routing-config AdditionalVersionWeights={} > /dev/null; then
    echo "${function##*:}: $now -> $before"
  else
    failed="$failed ${function##*:}"
  fi
done < "$work/moves"
[ -z "$failed" ] || { echo "$stack: not moved:$failed; run this again to finish" >&2; exit 1; }
