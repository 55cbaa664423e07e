"""What schemathesis has to know beyond the document, loaded by schemathesis.toml."""

import uuid

import hypothesis.internal.lambda_sources as lambda_sources
import schemathesis
from schemathesis import GenerationMode

# Statuses that refuse a request for its content.
REFUSALS = (400, 412, 422, 428)


describe = lambda_sources._lambda_description


def described(function, *args, **kwargs):
    """Names of functions for messages: CPython 3.11 may stop with a SystemError while Hypothesis parses their source."""
    try:
        return describe(function, *args, **kwargs)
    except SystemError:
        return "lambda: ..."


lambda_sources._lambda_description = described


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


@schemathesis.hook
def before_call(context, case, kwargs):
    """Keys of requests that are meant to succeed are fresh, as the document asks: a used one would answer for its first request."""
    if is_positive(case) and case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


def of_parameter(pointer, message):
    """Whether no schema could have said so: cursors are ours alone, and which filters go together is up to the indexes."""
    known = ("no index of", "is not among include", "stands there twice", "matches too many records", "counting would examine")
    return pointer in ("/cursor", "cursor") or any(text in message for text in known)


def of_member(document, error):
    """Whether the rule stands in the schema under a name of our own (`x-`), because JSON Schema has none for it."""
    name = error["pointer"].split("/")[-1]
    ours = {"minimum": "x-minimum", "maximum": "x-maximum", "immutable": "x-immutable"}.get(error["code"])
    schemas = document["components"]["schemas"].values()
    members = (schema.get("properties", {}).get(name, {}) for schema in schemas)
    return ours is not None and any(isinstance(member, dict) and ours in member for member in members)


def of_whole(case, error):
    """Whether it is about how parts of the request agree with each other."""
    if case.path.endswith("/_bulk"):
        # Two operations on one record; ids in their entity's own syntax.
        return error["code"] == "unique_items" or error["pointer"].endswith("/id")
    if case.path == "/v1/_cache/purge":
        return error["pointer"] == "/id"
    # The parts of a composite id in path and body; the size of all claims together.
    return "must agree with" in error["message"] or (error["pointer"], error["code"]) == ("/claims", "max_length")


def may_refuse(case, status, problem):
    if status in (412, 428) or problem["code"] == "reference_not_found":
        return True
    errors = problem.get("errors", [])
    if problem["code"] == "invalid_parameter":
        places = [(error["pointer"], error["message"]) for error in errors] or [(problem.get("parameter"), problem["detail"])]
        return all(of_parameter(*place) for place in places)
    if problem["code"] == "validation_failed":
        # Whether the steps of a JSON Patch can be done depends on the record that they meet.
        steps = case.media_type == "application/json-patch+json"
        # Parts of a composite id are numbers of at most 2^53, which a pattern can only come close to.
        path = problem["detail"].startswith("An id of ")
        document = case.operation.schema.raw_schema
        return steps or path or (errors and all(of_member(document, error) or of_whole(case, error) for error in errors))
    return False


@schemathesis.check
def valid_data_is_refused_only_for_what_no_schema_says(ctx, response, case):
    """The other half of `positive_data_acceptance`, whose statuses are widened in schemathesis.toml."""
    if is_positive(case) and response.status_code in REFUSALS:
        problem = response.json()
        assert may_refuse(case, response.status_code, problem), f"refused though it is valid: {problem}"
