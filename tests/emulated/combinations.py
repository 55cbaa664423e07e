#!/usr/bin/env python3
"""The template's Rules against every combination of the parameters that may be left out. A combination is whole where everything that is
set is used and everything that is used is set, by whatever part of the template is there then; the Rules must take the whole ones and
refuse the others, each by saying which parameter lacks which. Evaluates what SAM makes of the template, with a canary and without.

usage: combinations.py TEMPLATE
"""
import itertools
import re
import sys

from transformed import load, transform

# Left out, and set to something. The first is the default.
OPTIONAL = {
    "DomainName": ("", "api.example.com"),
    "CertificateArn": ("", "arn:aws:acm:us-east-1:000000000000:certificate/1"),
    "TruststoreUri": ("", "s3://truststore/roots.pem"),
    "MonthlyBudget": (0, 100),
    "BudgetTopicArn": ("", "arn:aws:sns:us-east-1:000000000000:budget"),
    "OperatorEmail": ("", "operator@example.com"),
    "SubnetIds": ("", "subnet-1,subnet-2"),
    "SecurityGroupIds": ("", "sg-1"),
    "LogDestinationArn": ("", "arn:aws:logs:us-east-1:000000000000:destination:central"),
    "LogDestinationRoleArn": ("", "arn:aws:iam::000000000000:role/logs"),
    "KmsKeyArn": ("", "arn:aws:kms:us-east-1:000000000000:key/1"),
    "OtlpEndpoint": ("", "http://collector:4318"),
    "InternalIssuers": ("", "idp.corp.example"),
    "ReservedConcurrency": (0, 20),
    "ProvisionedConcurrency": (0, 2),
}
# Both values mean something by themselves.
SWITCHES = {
    "Protection": ("false", "true"),
    "PointInTimeRecovery": ("true", "false"),
    "Monitoring": ("true", "false"),
    "Canary": ("false", "true"),
}
# A parameter of these kinds says by its default that it is left out; 0 is a value of the others.
ZERO_IS_VALUE = {"CacheSample", "BreakerSeconds", "Throttles"}
# The variable is empty then, which the functions read as unset.
MAY_BE_EMPTY = {"OtlpEndpoint", "InternalIssuers"}


def fail(why):
    sys.exit(f"combinations of parameters: {why}")


def value(node, settings):
    """What a function of Conditions or Rules comes to."""
    if not isinstance(node, dict):
        return str(node)
    (function, argument), = node.items()
    if function == "Ref":
        return str(settings[argument])
    if function == "Fn::Join":
        return argument[0].join(members(argument[1], settings))
    if function == "Fn::Not":
        return not value(argument[0], settings)
    if function == "Fn::EachMemberEquals":
        return all(member == value(argument[1], settings) for member in members(argument[0], settings))
    found = [value(one, settings) for one in argument]
    if function == "Fn::Equals":
        return found[0] == found[1]
    if function == "Fn::Or":
        return any(found)
    if function == "Fn::And":
        return all(found)
    return fail(f"{function} is not understood")


def members(node, settings):
    """A list of texts, or a parameter that is one."""
    return value(node, settings).split(",") if isinstance(node, dict) else [value(one, settings) for one in node]


def remembered(node):
    """The function of Conditions or Rules, worked out once for each setting of what it reads."""
    names, known = sorted({name for _, name in uses(node, frozenset())}), {}

    def answer(settings):
        key = tuple(settings[name] for name in names)
        if key not in known:
            known[key] = value(node, settings)
        return known[key]

    return answer


def uses(node, guards):
    """What is used below a node: (guards, name), each guard a condition and whether it must hold."""
    if isinstance(node, list):
        for child in node:
            yield from uses(child, guards)
    if not isinstance(node, dict):
        return
    for key, child in node.items():
        if key == "Ref":
            yield guards, child
        elif key == "Fn::GetAtt":
            yield guards, (child if isinstance(child, str) else child[0]).split(".")[0]
        elif key == "Fn::Sub":
            text, own = (child, {}) if isinstance(child, str) else child
            yield from ((guards, name) for name in re.findall(r"\$\{(\w+)", text) if name not in own)
            yield from uses(own, guards)
        elif key == "Fn::If":
            condition, then, otherwise = child
            yield from uses(then, guards | {(condition, True)})
            yield from uses(otherwise, guards | {(condition, False)})
        elif key == "DependsOn":
            yield from ((guards, name) for name in ([child] if isinstance(child, str) else child))
        else:
            yield from uses(child, guards)


def used(template):
    """The same of the whole template, its outputs too: what may be missing, by its guards."""
    found = {}
    missing = OPTIONAL.keys() | {name for name, resource in template["Resources"].items() if "Condition" in resource}
    for resource in [*template["Resources"].values(), *template.get("Outputs", {}).values()]:
        guards = frozenset([(resource["Condition"], True)] if "Condition" in resource else [])
        inner = {key: child for key, child in resource.items() if key != "Condition"}
        for under, name in uses(inner, guards):
            if name in missing:
                found.setdefault(under, set()).add(name)
    return found


def combinations():
    names = [*OPTIONAL, *SWITCHES]
    for values in itertools.product(*(OPTIONAL | SWITCHES).values()):
        yield dict(zip(names, values))


class Made:
    """What SAM makes of the template: which conditions there are, and what is used under which."""

    def __init__(self, template):
        self.facts = used(template)
        self.conditions = {name: remembered(condition) for name, condition in template["Conditions"].items()}
        self.condition_of = {name: resource["Condition"] for name, resource in template["Resources"].items() if "Condition" in resource}


class Rules:
    """The assertions of the Rules, each with when it is made and what it says."""

    def __init__(self, rules):
        self.assertions = [
            (remembered(rule["RuleCondition"]), remembered(assertion["Assert"]), assertion["AssertDescription"])
            for rule in rules.values()
            for assertion in rule["Assertions"]
        ]

    def refusals(self, settings):
        return [says for when, holds, says in self.assertions if when(settings) and not holds(settings)]


def gaps(made, settings):
    """Why a combination is not whole: (parameter, what is the matter)."""
    holds = {name: condition(settings) for name, condition in made.conditions.items()}
    active = set()
    for guards, names in made.facts.items():
        if all(holds[name] == wanted for name, wanted in guards):
            active |= names
    for name, (absent, _) in OPTIONAL.items():
        if settings[name] != absent and name not in active:
            yield name, "is set and used by nothing"
        if settings[name] == absent and name in active and name not in MAY_BE_EMPTY:
            yield name, "is used and not set"
    for name in active & made.condition_of.keys():
        if not holds[made.condition_of[name]]:
            yield name, "is referred to and not there"
    if settings["Protection"] == "true" and not holds["Recoverable"]:
        yield "Protection", "is set and the table cannot be restored"
    # An e-mail address is used by other parts too, so that alone does not say that somebody hears of the budget.
    if holds["HasBudget"] and not {"BudgetTopicArn", "OperatorEmail"} & active:
        yield "MonthlyBudget", "is set and tells nobody"


def defaults_are_known(written):
    """A parameter that can be left out must be among those that are tried."""
    for name, parameter in written["Parameters"].items():
        empty = parameter.get("Default") in ("", 0) and name not in ZERO_IS_VALUE
        if empty and name not in OPTIONAL:
            fail(f"{name} can be left out and is not tried")
        if name in OPTIONAL and parameter.get("Default") != OPTIONAL[name][0]:
            fail(f"the default of {name} is not {OPTIONAL[name][0]!r}")


def main(path):
    written = load(path)
    defaults_are_known(written)
    rules = Rules(written["Rules"])
    for _, _, text in rules.assertions:
        if len(set(re.findall(r"\w+", text)) & written["Parameters"].keys()) < 2:
            fail(f"a rule does not name both parameters: {text}")
    made = {canary: Made(transform(path, Canary=canary)) for canary in SWITCHES["Canary"]}
    tried = refused = 0
    for settings in combinations():
        why = rules.refusals(settings)
        found = list(gaps(made[settings["Canary"]], settings))
        if found and not why:
            fail(f"{found[0][0]} {found[0][1]}, and no rule says so: {settings}")
        if why and not found:
            fail(f"a rule refuses what is whole: {why[0]} {settings}")
        tried, refused = tried + 1, refused + bool(why)
    print(f"{tried} combinations of {len(OPTIONAL) + len(SWITCHES)} parameters: {refused} refused by rules, the others whole")


if __name__ == "__main__":
    main(sys.argv[1])
