"""Runs tuners at the tasks of tuner_tasks.py in simulated time, and appends what they found to a CSV file.

A slot asks for a configuration, is busy for the time that the trial's number has been given by lot, tells the loss, and asks again. The
seed decides the first configurations, times and noise, the same for every tuner. A row has the simple regret after so many ended
trials: the loss without noise of the configuration whose observed loss is least, less the least loss there is."""

import argparse
import csv
import heapq
import math
import os
import sys
import time
import zlib

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[threads] = "1"

import numpy as np

from tuner_optimizers import OPTIMIZERS, drawn
from tuner_tasks import held_out, tasks

FIRST = 8
CHECKPOINTS = (30, 100)
COLUMNS = ("task", "parallel", "seed", "tuner", "evaluations", "regret", "seconds", "faults")


def lots(task, seed, what):
    return np.random.default_rng([zlib.crc32(task.name.encode()), seed, zlib.crc32(what.encode())])


def first_configurations(task, seed):
    """All different."""
    random = lots(task, seed, "first")
    found = []
    while len(found) < FIRST:
        config = drawn(task.space, random)
        if config not in found:
            found.append(config)
    return found


def run(task, tuner, parallel, seed, budget, program):
    """Rows (evaluations, regret, seconds of the tuner so far, errors instead of configurations so far)."""
    durations = lots(task, seed, "durations").lognormal(0.0, 0.5, budget)
    noise = task.noise * lots(task, seed, "noise").standard_normal(budget)
    optimizer = OPTIMIZERS[tuner](task.space, first_configurations(task, seed), parallel, seed, program)
    seconds, now, ended, best, regret, asked = 0.0, 0.0, 0, math.inf, math.inf, 0
    running = []
    rows = []
    while ended < budget:
        while asked < budget and len(running) < parallel:
            started = time.perf_counter()
            config = optimizer.ask()
            seconds += time.perf_counter() - started
            heapq.heappush(running, (now + durations[asked], asked, config))
            asked += 1
        now, trial, config = heapq.heappop(running)
        loss = task.loss(config)
        seen = None if loss is None else loss + float(noise[trial])
        started = time.perf_counter()
        optimizer.tell(trial, config, seen)
        seconds += time.perf_counter() - started
        ended += 1
        if seen is not None and seen < best:
            best, regret = seen, loss - task.least
        if ended in CHECKPOINTS:
            rows.append((ended, regret, seconds, getattr(optimizer, "faults", 0)))
    optimizer.close()
    return rows


def numbers(text):
    """`0:5` or `3,4` as a list."""
    if ":" in text:
        low, high = text.split(":")
        return list(range(int(low), int(high)))
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuners", nargs="+", choices=list(OPTIMIZERS))
    parser.add_argument("--tasks", help="names of tasks with commas between; without, all")
    parser.add_argument("--parallel", type=numbers, default=[1, 4])
    parser.add_argument("--seeds", type=numbers, default=list(range(30)), help="0:30, or 1,2")
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--program", help="the example `suggest` of crates/tuner")
    parser.add_argument("--held-out", action="store_true", help="the tasks that were not used to choose Kokanee's constants")
    parser.add_argument("--recorded", help="CSV of recorded trainings")
    parser.add_argument("--output", required=True, help="CSV; runs whose rows it has are not run again")
    arguments = parser.parse_args()
    known = held_out() if arguments.held_out else tasks(arguments.recorded)
    names = arguments.tasks.split(",") if arguments.tasks else list(known)
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"no task is called {unknown[0]!r}: there are {', '.join(known)}")
    done = set()
    is_new = not os.path.exists(arguments.output)
    if not is_new:
        with open(arguments.output, newline="") as file:
            for row in csv.DictReader(file):
                if int(row["evaluations"]) >= arguments.budget:
                    done.add((row["task"], int(row["parallel"]), int(row["seed"]), row["tuner"]))
    with open(arguments.output, "a", newline="", buffering=1) as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(COLUMNS)
        for seed in arguments.seeds:
            for name in names:
                for parallel in arguments.parallel:
                    for tuner in arguments.tuners:
                        if (name, parallel, seed, tuner) in done:
                            continue
                        rows = run(known[name], tuner, parallel, seed, arguments.budget, arguments.program)
                        for evaluations, regret, seconds, faults in rows:
                            writer.writerow([name, parallel, seed, tuner, evaluations, f"{regret:.6g}", f"{seconds:.1f}", faults])
                        print(f"{tuner}, {name}, parallel {parallel}, seed {seed}: {rows[-1][1]:.4g}, {rows[-1][2]:.1f} s", flush=True)


if __name__ == "__main__":
    main()
