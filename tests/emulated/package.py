#!/usr/bin/env python3
"""The template with the binaries that `cargo lambda build` made in place of their sources, as `sam build` would write it.

usage: package.py TEMPLATE TARGET_LAMBDA_DIR > packaged.yaml
`sam build` itself always builds with the release profile, whose link-time optimisation takes minutes a binary.
"""
import os
import sys

from samcli.yamlhelper import yaml_dump, yaml_parse

template_path, binaries = sys.argv[1:]
with open(template_path) as file:
    template = yaml_parse(file.read())
here = os.path.dirname(os.path.abspath(template_path))
for name, resource in template["Resources"].items():
    properties = resource.get("Properties", {})
    if resource["Type"] == "AWS::Serverless::Function" and "InlineCode" not in properties:
        directory = os.path.join(os.path.abspath(binaries), resource["Metadata"]["BuildProperties"]["Binary"])
        if not os.path.exists(os.path.join(directory, "bootstrap")):
            sys.exit(f"{name}: there is no {directory}/bootstrap")
        properties["CodeUri"] = directory
    elif resource["Type"] == "AWS::CloudFormation::Stack":
        properties["TemplateURL"] = os.path.join(here, properties["TemplateURL"])
    elif resource["Type"] == "AWS::Serverless::LayerVersion":
        properties["ContentUri"] = os.path.join(here, properties["ContentUri"])
sys.stdout.write(yaml_dump(template))
