"""As much of the AWS CLI as infra/rollback.sh uses, on a state in the file ROLLBACK_STATE. Fails as AWS does, by a message and a status.

usage: rollback_aws.py SERVICE CALL ...
"""
import json
import os
import sys

PREFIX = "arn:aws:lambda:us-east-1:000000000000:function:"


def option(arguments, name):
    return arguments[arguments.index(name) + 1] if name in arguments else None


def aws(arguments):
    """What a call prints."""
    path = os.environ["ROLLBACK_STATE"]
    with open(path) as file:
        state = json.load(file)
    call, query = " ".join(arguments[:2]), option(arguments, "--query") or ""
    name = (option(arguments, "--function-name") or "").removeprefix(PREFIX)
    if call == "cloudformation describe-stacks":
        return "table" if "Outputs" in query else state["status"]
    if call == "dynamodb get-item":
        return json.dumps({"Item": {name: {"S": value} for name, value in state["mark"].items()}}) if state["mark"] else ""
    if call == "lambda get-layer-version-by-arn":
        return json.dumps({"Content": {"Location": f"file://{option(arguments, '--arn')}"}})
    if call in ("cloudformation describe-stack-resources", "cloudformation list-stack-resources"):
        aliases = [f"{PREFIX}{function}:live" for function in state["live"]]
        return "\n".join(aliases if "AWS::Lambda::Alias" in query else ["record"] * bool(state["history"]))
    if call == "lambda get-alias":
        version, weights = state["live"][name], state["weights"].get(name, {})
        alias = {"AliasArn": f"{PREFIX}{name}:live", "FunctionVersion": version, "RoutingConfig": {"AdditionalVersionWeights": weights}}
        return version if query else json.dumps(alias, indent=4)
    if call == "lambda list-versions-by-function":
        return "\t".join(["$LATEST", *state["versions"][name]])
    if call == "lambda get-function-configuration":
        version = option(arguments, "--qualifier")
        if version not in state["versions"][name]:
            sys.exit("ResourceNotFoundException")
        return json.dumps({"Layers": [{"Arn": layer} for layer in state["layers"].get(version, [])]})
    if call == "ssm get-parameter-history":
        return json.dumps({"Parameters": [{"Version": at, "Value": value, "LastModifiedDate": 1800000000.5 + 100 * at} for at, value in enumerate(state["history"])]})
    if call == "ssm put-parameter":
        with open(option(arguments, "--value").removeprefix("file://")) as file:
            state["history"].append(file.read())
    elif call == "lambda update-alias":
        if name in state["stuck"]:
            sys.exit("TooManyRequestsException")
        state["live"][name] = option(arguments, "--function-version")
    else:
        sys.exit(f"unknown: {arguments}")
    with open(path, "w") as file:
        json.dump(state, file)
    return "{}"


if __name__ == "__main__":
    print(aws(sys.argv[1:]))
