#!/usr/bin/env bash
# What a model needs over the data of a deployed stack. Stops a release before which something has to be done, so that nothing is refused
# from its first moment on; without the command line of Holdfast at hand, the API refuses as `building` what it cannot decide.
#
# usage: infra/plan.sh STACK MODEL       needs `holdfast` (or HOLDFAST=its path), the AWS CLI and the usual AWS environment
set -euo pipefail
stack=${1:?usage: infra/plan.sh STACK MODEL}
model=${2:?usage: infra/plan.sh STACK MODEL}
holdfast=${HOLDFAST:-holdfast}
command -v "$holdfast" > /dev/null || { echo "there is no $holdfast here: what the stored data needs is not known"; exit 0; }
HOLDFAST_DATA_TABLE=$("$(dirname "$0")/output.sh" "$stack" DataTableName)
HOLDFAST_VOLATILE_TABLE=$("$(dirname "$0")/output.sh" "$stack" VolatileTableName)
export HOLDFAST_DATA_TABLE HOLDFAST_VOLATILE_TABLE
code=0
plan=$("$holdfast" migrate --plan --format json --model "$model") || code=$?
case $code in
  0) echo "the stored data is as $model wants it"; exit 0 ;;
  10) ;;
  *) echo "the plan failed"; exit 1 ;;
esac
"$holdfast" migrate --plan --model "$model" || true
if grep -q '"needed_before": true' <<< "$plan"; then
  echo "first: $holdfast migrate --prepare --model $model, with HOLDFAST_DATA_TABLE=$HOLDFAST_DATA_TABLE HOLDFAST_VOLATILE_TABLE=$HOLDFAST_VOLATILE_TABLE"
  exit 10
fi
# A version with the model of before cannot go on afterwards, so nobody shall roll back by habit.
if grep -q '"one_way": true' <<< "$plan" && [ "${ONE_WAY:-}" != yes ]; then
  echo "this release is one-way: set ONE_WAY=yes to go on"
  exit 10
fi
echo "after the deployment: $holdfast migrate --model $model"
