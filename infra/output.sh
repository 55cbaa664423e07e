#!/usr/bin/env bash
# One output of a stack.
#
# usage: infra/output.sh STACK NAME
set -euo pipefail
aws cloudformation describe-stacks --stack-name "${1:?usage: infra/output.sh STACK NAME}" --output text \
  --query "Stacks[0].Outputs[?OutputKey=='${2:?usage: infra/output.sh STACK NAME}'].OutputValue"
