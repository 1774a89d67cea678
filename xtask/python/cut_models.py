"""Cuts botocore's service models down to what the local SageMaker answers, for crates/control/models/.

Usage: python cut_models.py BOTOCORE_DATA_FOLDER OUTPUT_FOLDER

BOTOCORE_DATA_FOLDER is `botocore/data` of an installed botocore. Documentation and foreign operations go; shapes that are
reached stay. Operations that are left out keep their names, and those that list something the name of their (empty) list.
"""

import gzip
import json
import sys
from pathlib import Path

RESOURCES = {
    "Create Describe List Stop Update Delete": ["TrainingJob"],
    "Create Describe List Stop Delete": ["HyperParameterTuningJob"],
    "Create Describe List Stop": ["TransformJob"],
    "Create Describe List Delete": ["Model", "EndpointConfig"],
    "Create Describe List Update Delete": ["Endpoint"],
}
PLURAL = {"List": "s"}
SAGEMAKER = [
    verb + noun + PLURAL.get(verb, "")
    for verbs, nouns in RESOURCES.items()
    for verb in verbs.split()
    for noun in nouns
] + [
    "AddTags",
    "DeleteTags",
    "ListTags",
    "ListTrainingJobsForHyperParameterTuningJob",
    "UpdateEndpointWeightsAndCapacities",
]

# By the file's name: the folder in botocore, and the operations.
SERVICES = {
    "sagemaker": ("sagemaker/2017-07-24", SAGEMAKER),
    "logs": (
        "logs/2014-03-28",
        [
            "CreateLogGroup",
            "CreateLogStream",
            "DeleteLogGroup",
            "DeleteLogStream",
            "DeleteRetentionPolicy",
            "DescribeLogGroups",
            "DescribeLogStreams",
            "FilterLogEvents",
            "GetLogEvents",
            "PutLogEvents",
            "PutRetentionPolicy",
        ],
    ),
    "cloudwatch": (
        "cloudwatch/2010-08-01",
        ["DescribeAlarms", "GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricData"],
    ),
    "application-autoscaling": (
        "application-autoscaling/2016-02-06",
        [
            "DeleteScalingPolicy",
            "DeregisterScalableTarget",
            "DescribeScalableTargets",
            "DescribeScalingActivities",
            "DescribeScalingPolicies",
            "ListTagsForResource",
            "PutScalingPolicy",
            "RegisterScalableTarget",
            "TagResource",
            "UntagResource",
        ],
    ),
    "sts": ("sts/2011-06-15", ["AssumeRole", "GetCallerIdentity", "GetSessionToken"]),
    "iam": (
        "iam/2010-05-08",
        ["AttachRolePolicy", "CreateRole", "GetRole", "ListAttachedRolePolicies", "SimulatePrincipalPolicy"],
    ),
}

# Instance types are accepted whatever comes after `ml.`: new ones appear every year, and here they are only a name.
OPEN_ENUMS = {"TrainingInstanceType", "ProductionVariantInstanceType", "TransformInstanceType"}
OPEN_PATTERN = r"ml\.[a-z0-9\-]+\.[a-z0-9\-]+"

SHAPE_KEYS = ("required", "enum", "min", "max", "pattern", "flattened", "resultWrapper")


def cut_shape(name, shape):
    """The shape without documentation, and the names of the shapes that it needs."""
    cut = {"type": shape["type"]}
    for key in SHAPE_KEYS:
        if shape.get(key) not in (None, [], False):
            cut[key] = shape[key]
    if name in OPEN_ENUMS:
        del cut["enum"]
        cut["pattern"] = OPEN_PATTERN
    # The crate `regex` cannot look around; such a pattern is not enforced.
    if any(mark in cut.get("pattern", "") for mark in ("(?!", "(?=", "(?<")):
        del cut["pattern"]
    needs = []

    def reference(member):
        needs.append(member["shape"])
        return member["shape"]

    if "members" in shape:
        cut["members"] = {
            # XML may call a member by another name than JSON does.
            key: [reference(member)] + ([member["locationName"]] if member.get("locationName", key) != key else [])
            for key, member in shape["members"].items()
        }
    if shape["type"] == "list":
        cut["member"] = reference(shape["member"])
    if shape["type"] == "map":
        cut["key"] = reference(shape["key"])
        cut["value"] = reference(shape["value"])
    return cut, needs


def empty_answer(model, operation):
    """The answer with empty lists, where a list operation needs nothing else."""
    output = operation.get("output")
    if output is None:
        return None
    shape = model["shapes"][output["shape"]]
    lists = [key for key, member in shape["members"].items() if model["shapes"][member["shape"]]["type"] == "list"]
    if len(lists) != 1 or any(name not in lists for name in shape.get("required", [])):
        return None
    return lists[0]


def cut(model, wanted):
    """The slim model."""
    metadata = model["metadata"]
    operations, needed = {}, []
    for name in sorted(wanted):
        operation = model["operations"][name]
        row = {}
        for key in ("input", "output"):
            if key in operation:
                row[key] = operation[key]["shape"]
                needed.append(row[key])
                if "resultWrapper" in operation[key]:
                    row["wrapper"] = operation[key]["resultWrapper"]
        row["errors"] = [error["shape"] for error in operation.get("errors", [])]
        operations[name] = row
    shapes = {}
    while needed:
        name = needed.pop()
        if name not in shapes:
            shapes[name], more = cut_shape(name, model["shapes"][name])
            needed.extend(more)
    errors = {}
    for name in {error for operation in operations.values() for error in operation["errors"]}:
        error = model["shapes"][name].get("error", {})
        errors[name] = [error.get("code", name), error.get("httpStatusCode", 400)]
    others = {}
    for name, operation in sorted(model["operations"].items()):
        if name not in operations:
            others[name] = empty_answer(model, operation) if name.startswith("List") else None
    return {
        "service": metadata["serviceId"],
        "version": metadata["apiVersion"],
        "target": metadata.get("targetPrefix", ""),
        "namespace": metadata.get("xmlNamespace", ""),
        "operations": operations,
        "errors": dict(sorted(errors.items())),
        "shapes": dict(sorted(shapes.items())),
        "empty": {name: key for name, key in others.items() if key},
        "others": [name for name, key in others.items() if not key],
    }


def one_line_per_row(model):
    """JSON with a line for each operation and shape, so that an update of botocore can be read as a difference."""
    compact = lambda value: json.dumps(value, separators=(",", ":"))  # noqa: E731
    parts = []
    for key, value in model.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"{compact(name)}:{compact(row)}" for name, row in value.items())
            parts.append(f"{compact(key)}:{{\n{rows}\n}}")
        else:
            parts.append(f"{compact(key)}:{compact(value)}")
    return "{" + ",\n".join(parts) + "}\n"


def main():
    source, target = map(Path, sys.argv[1:])
    for name, (folder, wanted) in SERVICES.items():
        with gzip.open(source / folder / "service-2.json.gz") as file:
            model = json.load(file)
        (target / f"{name}.json").write_text(one_line_per_row(cut(model, wanted)))


if __name__ == "__main__":
    main()
