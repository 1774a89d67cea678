"""Records what scikit-learn says of MNIST digits with centroids of its own, as a model for k-means' real container.

    kmeans_golden.py --data FOLDER --output algorithms/kmeans/tests/golden

Writes model_algo-1 (the centroids, as users of the real container make it of scikit-learn's), rows.csv.gz and answers.json
(cluster and distance of each row).
"""

import argparse
import gzip
import json
import os
import struct

import numpy as np
from sklearn.cluster import KMeans

K, WIDTH, ROWS = 10, 784, 60

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--output", required=True)
args = parser.parse_args()

digits = np.fromfile(os.path.join(args.data, "mnist10k.f32"), dtype="<f4").reshape(-1, WIDTH)
model = KMeans(K, n_init=1, random_state=1).fit(digits)
centroids = model.cluster_centers_.astype("<f4")

# MXNet's list of one array without a name.
with open(os.path.join(args.output, "model_algo-1"), "wb") as file:
    file.write(struct.pack("<QQQ", 0x112, 0, 1))
    file.write(struct.pack("<IiI", 0xF993FAC9, 0, 2) + struct.pack("<qq", K, WIDTH))
    file.write(struct.pack("<iii", 1, 0, 0) + centroids.tobytes())
    file.write(struct.pack("<Q", 0))

rows = digits[:ROWS]
lines = "\n".join(",".join(np.format_float_positional(v, unique=True, trim="-") for v in row) for row in rows)
with open(os.path.join(args.output, "rows.csv.gz"), "wb") as raw:
    # No time in the header, so that the same data give the same file.
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        file.write((lines + "\n").encode())
distances = model.transform(rows)
answers = {"clusters": distances.argmin(1).tolist(), "distances": distances.min(1).astype(float).tolist()}
with open(os.path.join(args.output, "answers.json"), "w") as file:
    json.dump(answers, file)
    file.write("\n")
