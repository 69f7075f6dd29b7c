"""Says of each file what an editor would: null, or the first thing that is wrong with it.

In: {"schemas": {dialect: schema}, "files": [[dialect, text], …]}. Out: a list with an answer for each file.
"""

import json
import re
import sys

import jsonschema
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def pattern(_validator, pattern, instance, _schema):
    # `$` is the end in ECMAScript, which schemas are written in; in Python a line break may follow.
    if isinstance(instance, str) and not re.search(re.sub(r"\$(?=\)|$)", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match")


Validator = jsonschema.validators.extend(jsonschema.Draft7Validator, {"pattern": pattern})


def as_json(content):
    """With texts for keys, as editors see them."""
    if isinstance(content, dict):
        if any(isinstance(key, (tuple, dict, list)) for key in content):
            raise ValueError("a key is no text")
        return {"null" if key is None else str(key): as_json(value) for key, value in content.items()}
    return [as_json(item) for item in content] if isinstance(content, list) else content


def judge(validator, text):
    try:
        content = as_json(YAML(typ="safe", pure=True).load(text))
    except (YAMLError, KeyError, RecursionError, TypeError, ValueError) as error:
        return f"no YAML: {error}"
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    return error and f"{error.json_path}: {error.message[:200]}"


asked = json.load(sys.stdin)
validators = {}
for dialect, schema in asked["schemas"].items():
    Validator.check_schema(schema)
    validators[dialect] = Validator(schema)
json.dump([judge(validators[dialect], text) for dialect, text in asked["files"]], sys.stdout)
