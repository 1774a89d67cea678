"""SageMaker's SDK v2 as a client of the server: its serializers make requests, its deserializers read the answers.

    kmeans_sdk.py ADDRESS ROWS.csv.gz ANSWERS.json
"""

import io
import json
import logging
import sys
import urllib.request

logging.disable(logging.CRITICAL)

import numpy as np  # noqa: E402
from sagemaker.amazon.common import RecordDeserializer, RecordSerializer  # noqa: E402
from sagemaker.deserializers import JSONDeserializer, JSONLinesDeserializer  # noqa: E402
from sagemaker.serializers import CSVSerializer, JSONLinesSerializer, JSONSerializer  # noqa: E402

address, rows_file, answers_file = sys.argv[1:]
rows = np.loadtxt(rows_file, delimiter=",")
with open(answers_file) as file:
    expected = json.load(file)


def predict(data, serializer, deserializer):
    """What `Predictor.predict` does, without a session."""
    body = serializer.serialize(data)
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    accept = deserializer.ACCEPT
    headers = {
        "Content-Type": serializer.CONTENT_TYPE,
        "Accept": ", ".join(accept) if isinstance(accept, (list, tuple)) else accept,
    }
    request = urllib.request.Request(f"http://{address}/invocations", data=body, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return deserializer.deserialize(io.BytesIO(answer.read()), answer.headers["Content-Type"])


def check(clusters, distances, how):
    assert clusters == expected["clusters"], (how, clusters)
    np.testing.assert_allclose(distances, expected["distances"], rtol=1e-4, err_msg=how)


# As `KMeansPredictor` has them, for each type that numpy arrays commonly have.
for kind in ["float32", "float64"]:
    records = predict(rows.astype(kind), RecordSerializer(), RecordDeserializer())
    labels = [record.label for record in records]
    check(
        [int(label["closest_cluster"].float32_tensor.values[0]) for label in labels],
        [label["distance_to_cluster"].float32_tensor.values[0] for label in labels],
        f"records of {kind}",
    )

requests = [
    (rows, CSVSerializer(), JSONDeserializer()),
    ({"instances": [{"features": list(row)} for row in rows]}, JSONSerializer(), JSONDeserializer()),
    ([{"features": list(row)} for row in rows], JSONLinesSerializer(), JSONLinesDeserializer()),
]
for data, serializer, deserializer in requests:
    answer = predict(data, serializer, deserializer)
    predictions = answer["predictions"] if isinstance(answer, dict) else answer
    check(
        [int(prediction["closest_cluster"]) for prediction in predictions],
        [prediction["distance_to_cluster"] for prediction in predictions],
        serializer.CONTENT_TYPE,
    )
print("the SDK and the server understand each other")
