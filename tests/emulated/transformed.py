"""What SAM makes of a template, as the service does at a deployment: parameters decide what it makes."""
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def load(path):
    """The template as it was written."""
    with open(path) as file:
        return yaml_parse(file.read())


def transform(path, **parameters):
    """Its plain CloudFormation where these parameters are set and the others have their defaults."""
    template = load(path)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for uri in ("CodeUri", "ContentUri"):
            if uri in properties:
                properties[uri] = "s3://bucket/key"
    defaults = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}
    return Translator({}, Parser()).translate(template, {**defaults, **parameters})
