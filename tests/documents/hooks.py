"""What schemathesis has to know beyond the document, loaded by schemathesis.toml."""

import re
import urllib.parse
import uuid

import hypothesis.internal.lambda_sources as lambda_sources
import schemathesis
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

# Statuses that refuse a request for its content.
REFUSALS = (400, 412, 422, 428)
# Longest query, bytes: hyper takes request targets of up to 65,534.
LONGEST_QUERY = 60_000
# Codes of what depends on the records that are there.
MET = ("not_found", "conflict", "forbidden", "unique_violation", "restricted", "reference_not_found", "precondition_failed", "precondition_required")


describe = lambda_sources._lambda_description


def described(function, *args, **kwargs):
    """Names of functions for messages: CPython 3.11 may stop with a SystemError while Hypothesis parses their source."""
    try:
        return describe(function, *args, **kwargs)
    except SystemError:
        return "lambda: ..."


lambda_sources._lambda_description = described


def parameter(case, name):
    """The schema of a header of the operation."""
    return next((one.definition.get("schema", {}) for one in case.operation.headers if one.name == name), {})


def fits(case, name, value=None):
    """Whether a header, or a value for it, is what its schema asks for."""
    schema, value = parameter(case, name), str(case.headers[name]) if value is None else value
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(value))
    return least <= len(value) <= most and re.search(schema.get("pattern", ""), value) is not None


def is_positive(case):
    """Whether the request is meant to be accepted. Coverage takes the quotes of an entity tag for those of JSON and sends what is
    between them, which is no entity tag, as a valid one."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return False
    return all(fits(case, name) for name in ("If-Match", "If-None-Match") if name in (case.headers or {}))


@schemathesis.hook
def filter_case(context, case):
    """The gateway refuses long request lines with an answer of its own; some are so long that the local server's HTTP library refuses
    them before it, with an empty one, which says nothing about the API."""
    return len(urllib.parse.urlencode(case.query or {}, doseq=True)) < LONGEST_QUERY


@schemathesis.hook
def before_call(context, case, kwargs):
    """Valid keys are fresh, as the document asks: a used one would answer for its first request, whatever is wrong with this one."""
    name = "Idempotency-Key"
    if case.headers and name in case.headers:
        bare = str(case.headers[name]).strip()
        if fits(case, name):
            case.headers[name] = str(uuid.uuid4())
        elif fits(case, name, bare):
            # Between blanks it is the same key to the API; this one is none in any form.
            case.headers[name] = "x" * 256
        # Otherwise the case would be judged anew, without what it leaves out on purpose, and change sides.
        case._sync_validated_hashes()


def of_parameter(pointer, message):
    """Whether no schema could have said so: cursors are ours alone, and which filters go together is up to the indexes."""
    known = (
        "no index of",
        "no index can serve",
        "is not among include",
        "stands there twice",
        "matches too many records",
        "counting would examine",
        # Two moments that do not go together.
        "must be before",
        "is too long before",
        "must not be before 1970",
    )
    return pointer in ("/cursor", "cursor") or any(text in message for text in known)


def of_member(document, error):
    """Whether the rule stands in the schema under a name of our own (`x-`), because JSON Schema has none for it."""
    name = error["pointer"].split("/")[-1]
    ours = {"minimum": "x-minimum", "maximum": "x-maximum", "immutable": "x-immutable"}.get(error["code"])
    schemas = document["components"]["schemas"].values()
    members = (schema.get("properties", {}).get(name, {}) for schema in schemas)
    return ours is not None and any(isinstance(member, dict) and ours in member for member in members)


def of_creation(case, document, error):
    """Whether a PUT lacks what only a new record needs: which of the two it is depends on what is stored."""
    body = case.operation.definition.raw["requestBody"]["content"]["application/json"] if case.method == "PUT" else {}
    name = body.get("schema", {}).get("$ref", "").split("/")[-1].replace("Replace", "Create")
    creation = document["components"]["schemas"].get(name, {})
    return error["code"] == "required" and error["pointer"][1:] in creation.get("required", [])


def of_path(case, error):
    """Whether it is about a part of a composite id that the body leaves to the path, whose pattern knows no bounds of numbers."""
    sent = case.body if isinstance(case.body, dict) else {}
    return case.method == "PUT" and error["code"] in ("minimum", "maximum") and error["pointer"][1:] not in sent


def of_whole(case, error):
    """Whether it is about how parts of the request agree with each other."""
    if case.path.endswith("/_bulk"):
        # Two operations on one record; ids in their entity's own syntax; what an operation as a whole meets in the store.
        meets = re.fullmatch("/operations/[0-9]+", error["pointer"]) and error["code"] in MET
        return meets or error["code"] == "unique_items" or error["pointer"].endswith("/id")
    if case.path == "/v1/_cache/purge":
        return error["pointer"] == "/id"
    if error["pointer"].startswith("/notify/"):
        # Which hosts are public is a list and no pattern.
        return "must name a public host" in error["message"]
    if error["pointer"].startswith("/overrides/"):
        # Those of another plan than the one that is named beside them.
        return "of the plan" in error["message"]
    # The parts of a composite id in path and body; the size of all claims together; a secret for addresses that are not there.
    known = (("/claims", "max_length"), ("/webhook_secret", "unknown"))
    return "must agree with" in error["message"] or (error["pointer"], error["code"]) in known


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
        known = lambda error: of_member(document, error) or of_whole(case, error) or of_creation(case, document, error) or of_path(case, error)
        return steps or path or (errors and all(known(error) for error in errors))
    return False


@schemathesis.check
def valid_data_is_refused_only_for_what_no_schema_says(ctx, response, case):
    """The other half of `positive_data_acceptance`, whose statuses are widened in schemathesis.toml."""
    if is_positive(case) and response.status_code in REFUSALS:
        problem = response.json()
        assert may_refuse(case, response.status_code, problem), f"refused though it is valid: {problem}"


@schemathesis.check
def an_operation_of_a_bulk_call_is_refused_for_what_its_schema_forbids(ctx, response, case):
    """`negative_data_rejection` where each operation answers for itself, with a status of its own within the 200."""
    if case.meta is None or not case.path.endswith("/_bulk"):
        return
    results = response.json()["results"] if response.status_code == 200 else []
    if all(result["status"] < 400 for result in results):
        negative_data_rejection(ctx, response, case)
