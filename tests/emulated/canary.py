#!/usr/bin/env python3
"""What SAM makes of the template where Canary=true: the emulated cloud has no CodeDeploy, so this is as far as a canary can be tried.
Each function that answers requests must move its alias by CodeDeploy, behind the smoke test and the alarms.

usage: canary.py TEMPLATE
"""
import re
import sys

from transformed import transform

made = transform(sys.argv[1], Canary="true")["Resources"]


def fail(why):
    sys.exit(f"with Canary=true {why}")


for function in ("DataApi", "Download", "Docs"):
    group = made.get(f"{function}FunctionDeploymentGroup") or fail(f"{function} has no deployment group")
    alarms = [alarm["Name"]["Ref"] for alarm in group["Properties"]["AlarmConfiguration"]["Alarms"]]
    if alarms != ["ReleaseErrors", f"{function}Failures"]:
        fail(f"{function} goes back by {alarms}")
    update = made[f"{function}FunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    if update.get("BeforeAllowTrafficHook") != {"Ref": "ReleaseCheckFunction"}:
        fail(f"{function} has the hook {update.get('BeforeAllowTrafficHook')}")


def references(node):
    """The names that Ref, GetAtt, Sub and DependsOn below this node mention."""
    if isinstance(node, list):
        for child in node:
            yield from references(child)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "Ref":
            yield value
        elif key == "Fn::GetAtt":
            yield (value if isinstance(value, str) else value[0]).split(".")[0]
        elif key == "Fn::Sub":
            yield from re.findall(r"\$\{(\w+)", value if isinstance(value, str) else value[0])
            yield from references(value)
        elif key == "DependsOn":
            yield from [value] if isinstance(value, str) else value
        else:
            yield from references(value)


def visit(name, path):
    """CloudFormation refuses resources that wait for each other."""
    if name in path:
        fail("these wait for each other: " + " -> ".join([*path[path.index(name):], name]))
    if name not in visited:
        for other in sorted(set(references(made[name])) & set(made)):
            visit(other, [*path, name])
        visited.add(name)


visited = set()
for name in made:
    visit(name, [])
print("with Canary=true CodeDeploy moves DataApi, Download and Docs, behind ReleaseCheck and alarms")
