#!/usr/bin/env bash
# Changes the model of a deployed stack, and nothing else: no compiler, no build. The functions stay the very same zips; each gets
# a new version with the new layer, so infra/rollback.sh takes the model back. Check first with `holdfast model diff OLD NEW`. Stops where the
# stored data needs something first (infra/plan.sh).
#
# usage: infra/model.sh STACK MODEL [options of sam deploy]        needs the SAM CLI, the AWS CLI and the usual AWS environment
set -euo pipefail
stack=${1:?usage: infra/model.sh STACK MODEL}
model=$(realpath "${2:?usage: infra/model.sh STACK MODEL}")
shift 2
"$(dirname "$0")/plan.sh" "$stack" "$model"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
# The name in the layer is the one that the functions look for.
cp "$model" "$directory/model.yaml"
# What was deployed last, whose other artefacts lie in the bucket of SAM already.
aws cloudformation get-template --stack-name "$stack" --template-stage Original --query TemplateBody --output text |
  awk -v model="$directory/model.yaml" '
    /^  [A-Za-z]/ { inside = ($1 == "ModelLayer:") }
    inside && /^      ContentUri:/ { print "      ContentUri: " model; changed = 1; next }
    { print }
    END { if (!changed) { print "the stack has no ModelLayer with a ContentUri" > "/dev/stderr"; exit 1 } }
  ' > "$directory/template.yaml"
# SAM takes nested templates from files. It names them by https://HOST/BUCKET/KEY.
for url in $(sed -n 's/^ *TemplateURL: *//p' "$directory/template.yaml"); do
  place=${url#*://*/}
  aws s3 cp --quiet "s3://$place" "$directory/${place##*/}"
  sed -i.before "s|TemplateURL: *$url|TemplateURL: $directory/${place##*/}|" "$directory/template.yaml"
done
# Without the parameters of samconfig.toml: those of the stack stay.
cd "$directory"
sam deploy --template-file "$directory/template.yaml" --stack-name "$stack" --resolve-s3 \
  --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset "$@"
