#!/usr/bin/env python3
"""The outputs of a stack as shell variables, and the first API key, as an operator would fetch it.

usage: outputs.py STACK
"""
import shlex
import sys

import boto3

stack = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"][0]
outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
secrets = boto3.client("secretsmanager")
outputs["FirstKey"] = secrets.get_secret_value(SecretId=outputs["FirstKeySecretArn"])["SecretString"]
for name, value in outputs.items():
    print(f"{name}={shlex.quote(value)}")
