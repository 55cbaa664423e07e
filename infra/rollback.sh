#!/usr/bin/env bash
# Takes a stack back by one release: the alias `live` of each function that the release moved goes back to the version that was live
# before, with its code, its model and its variables; the others stay. Run again, it goes back one more. Tables, roles and routes stay
# as they are, and so do records that the release has written.
#
# What was live before is read from the history of the parameter ReleaseRecord, which every release and every rollback writes; version
# numbers say nothing, since a canary that was taken back leaves its versions behind. Where the history does not tell, or the aliases
# are not where it has them, nothing is changed and the script fails. The next deployment moves the aliases of what it changes on.
#
# Nor does it go back behind a migration that has converted or removed stored values, unless ONE_WAY=yes: `holdfast migrate` leaves a mark
# beside the data, and only a release from after it, or one with the very model that the data was migrated to, may come back.
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

history, live, record, moves, when = sys.argv[1:]


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
        released.setdefault(json.dumps(now, sort_keys=True), entry["at"])
    return stack, left


released = {}  # when each state was first live
with open(history) as file:
    entries = sorted(json.load(file)["Parameters"], key=lambda entry: entry["Version"])
stack, left = states([{**json.loads(entry["Value"]), "at": entry["LastModifiedDate"]} for entry in entries])
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
with open(when, "w") as file:
    file.write(str(released[json.dumps(target, sort_keys=True)]))
with open(moves, "w") as file:
    file.writelines(f"{alias} {found[alias]} {target[alias]}\n" for alias in sorted(target) if found[alias] != target[alias])
PLAN
python3 "$work/plan.py" "$work/history" "$work/live" "$work/record" "$work/moves" "$work/when" 2> "$work/why" || refuse "$(cat "$work/why")"

while read -r alias now before; do
  aws lambda get-function-configuration --function-name "${alias%:*}" --qualifier "$before" > /dev/null ||
    refuse "version $before of ${alias%:*}, which was live before, is gone"
done < "$work/moves"

cat > "$work/back.py" <<'BACK'
"""Fails, with the reason, where the release that comes back is from before a migration that it does not survive. The model of that
release lies in one of its layers."""
import datetime
import hashlib
import io
import json
import subprocess
import sys
import urllib.request
import zipfile

mark, when, function, version = sys.argv[1:]


def moment(text):
    if text.replace(".", "", 1).isdigit():
        return datetime.datetime.fromtimestamp(float(text), datetime.timezone.utc)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def aws(*arguments):
    return json.loads(subprocess.run(["aws", *arguments, "--output", "json"], check=True, capture_output=True).stdout)


def model():
    """SHA-256 of the release's model; none where it cannot be found."""
    try:
        layers = aws("lambda", "get-function-configuration", "--function-name", function, "--qualifier", version).get("Layers", [])
        for layer in layers:
            place = aws("lambda", "get-layer-version-by-arn", "--arn", layer["Arn"])["Content"]["Location"]
            with urllib.request.urlopen(place, timeout=30) as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as packed:
                if "model.yaml" in packed.namelist():
                    return hashlib.sha256(packed.read("model.yaml")).hexdigest()
    except (OSError, KeyError, ValueError, subprocess.CalledProcessError, zipfile.BadZipFile):
        pass
    return None


with open(mark) as file:
    text = file.read().strip()
item = {name: value.get("S", "") for name, value in (json.loads(text).get("Item", {}) if text else {}).items()}
with open(when) as file:
    released = moment(file.read())
if item and released < moment(item["at"]) and model() != item["model"]:
    sys.exit(
        f"on {item['at']} the stored data was migrated to {item['version']}, and what would come back is from before: {item['why']}. "
        "Deploy a release with that model, or one that goes on from it; to lose what was written since, restore the table to before "
        "that moment (docs/operations.md); ONE_WAY=yes goes back all the same"
    )
BACK
table=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
  --query "Stacks[0].Outputs[?OutputKey=='DataTableName'].OutputValue")
if [ -s "$work/moves" ] && [ -n "$table" ] && [ "${ONE_WAY:-}" != yes ]; then
  aws dynamodb get-item --table-name "$table" --consistent-read --output json \
    --key '{"pk": {"S": "m#one_way"}, "sk": {"B": "AA=="}}' > "$work/mark" || refuse "whether the stored data allows it is not known"
  read -r alias _ before < "$work/moves"
  python3 "$work/back.py" "$work/mark" "$work/when" "${alias%:*}" "$before" 2> "$work/why" || refuse "$(cat "$work/why")"
fi

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
