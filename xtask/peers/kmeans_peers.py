"""scikit-learn and faiss on the work of Kokanee's benchmark of k-means; the same form of report.

    kmeans_peers.py [quality|speed] --data FOLDER [--seeds N] [--windows N] [--threads N] [--report FILE]
"""

import argparse
import json
import os
import time

parser = argparse.ArgumentParser()
parser.add_argument("parts", nargs="*", default=[])
parser.add_argument("--data", required=True)
parser.add_argument("--seeds", type=int, default=10)
parser.add_argument("--windows", type=int, default=7)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--report")
args = parser.parse_args()
# The libraries read this when they are imported.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(args.threads)

import faiss  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.cluster import KMeans, MiniBatchKMeans  # noqa: E402

# Clusters of each data set, and centres whose speed is measured; as in algorithms/kmeans/benches.
SETS = {"iris": 3, "digits": 10, "letter": 26, "shuttle": 7, "mnist10k": 10, "county": 8}
CENTERS = [100, 1000]
BATCH = 5000
ITERATIONS = 20


def read(name):
    with open(os.path.join(args.data, name + ".json")) as file:
        shape = json.load(file)
    return np.fromfile(os.path.join(args.data, name + ".f32"), dtype="<f4").reshape(shape["rows"], shape["width"])


def faiss_train(x, k, iterations, seed):
    # By default faiss takes a sample of the rows only.
    options = {"max_points_per_centroid": len(x), "min_points_per_centroid": 1}
    kmeans = faiss.Kmeans(x.shape[1], k, niter=iterations, seed=seed + 1, **options)
    kmeans.train(x)
    return kmeans.centroids


def msd(x, centers):
    x, centers = x.astype(np.float64), np.asarray(centers, dtype=np.float64)
    return float(np.mean([((row - centers) ** 2).sum(1).min() for row in x]))


def quality():
    found = []
    for name, k in SETS.items():
        x = read(name)
        systems = {
            "scikit-learn KMeans": lambda seed: KMeans(k, n_init=1, random_state=seed).fit(x).cluster_centers_,
            "scikit-learn MiniBatchKMeans": lambda seed: MiniBatchKMeans(
                k, n_init=1, batch_size=1024, random_state=seed
            )
            .fit(x)
            .cluster_centers_,
            "faiss Kmeans": lambda seed: faiss_train(x, k, 25, seed),
        }
        for system, train in systems.items():
            values = [msd(x, train(seed)) for seed in range(args.seeds)]
            mean = sum(values) / len(values)
            found.append({"set": name, "k": k, "system": system, "mean": mean, "best": min(values)})
    return found


def best(work):
    work()
    times = []
    for _ in range(args.windows):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def speed():
    x = read("mnist10k")
    found = []
    for k in CENTERS:
        # The start and the end of a training are in both, an iteration only in the longer one.
        long, short = best(lambda: faiss_train(x, k, 1 + ITERATIONS, 1)), best(lambda: faiss_train(x, k, 1, 1))
        found.append({"system": "faiss Kmeans, an iteration", "centers": k, "epoch_s": (long - short) / ITERATIONS})
        partial = MiniBatchKMeans(k, batch_size=BATCH, n_init=1, init="random", random_state=1)

        def epoch():
            for begin in range(0, len(x), BATCH):
                partial.partial_fit(x[begin : begin + BATCH])

        found.append({"system": "scikit-learn partial_fit, an epoch", "centers": k, "epoch_s": best(epoch)})
    return found


report = {}
for part, measure in [("quality", quality), ("speed", speed)]:
    if not args.parts or part in args.parts:
        report[part] = measure()
text = json.dumps(report)
if args.report:
    with open(args.report, "w") as file:
        file.write(text)
else:
    print(text)
