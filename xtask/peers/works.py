"""What the programs that train with a peer share: the works, their corpus, the clock and the form of a report.

Kokanee's own benchmark (algorithms/seq2seq/train/benches/training.rs) does the same works and writes the same form.
"""

import argparse
import collections
import gzip
import json
import os
import random
import resource
import statistics
import tempfile
import time

Work = collections.namedtuple("Work", "cell hidden layers")

WORKS = {
    "RNN512": Work("lstm", 512, 1),
    "RNN1024": Work("lstm", 1024, 1),
    "GRU512": Work("gru", 512, 1),
    "CNN1": Work("cnn", 512, 1),
    "CNN8": Work("cnn", 512, 8),
}

# The same for every work.
EMBEDDING = 512
ENCODER_KERNEL, DECODER_KERNEL = 3, 5
BATCH_SENTENCES = 64
MAX_LENGTH = 60
BUCKET_WIDTH = 10
LEARNING_RATE = 3e-4
CLIP = 1.0

PAD, UNK, BOS, EOS = range(4)


def arguments(description):
    """The options that every program has; a program may add its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", required=True, choices=sorted(WORKS))
    parser.add_argument("--data", required=True, help="folder of Multi30k: train.en.gz, train.de.gz")
    parser.add_argument("--updates", type=positive, default=20, help="updates of one window")
    parser.add_argument("--windows", type=positive, default=5)
    parser.add_argument("--warm-up", type=positive, help="updates before the first window; the default is the program's")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", help="file that gets the result as JSON")
    return parser


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def lines(folder, name):
    """The sentences of a gzip-compressed file, as lists of words."""
    with gzip.open(os.path.join(folder, name), "rt", encoding="utf-8", newline="\n") as file:
        return [line.split() for line in file]


class Corpus:
    """The training pairs as ids with all words as vocabulary, in Sockeye's buckets.

    `source_size` and `target_size` are the vocabularies' sizes, the four special ids included.
    """

    def __init__(self, folder):
        sides = [lines(folder, name) for name in ("train.en.gz", "train.de.gz")]
        ids = [vocabulary(side) for side in sides]
        self.source_size, self.target_size = (len(words) + 4 for words in ids)
        self.pairs = []
        for source, target in zip(*sides):
            if source and target:
                source = [ids[0][word] for word in source[:MAX_LENGTH]]
                # A target holds one of the symbols <s> and </s> beside its words.
                self.pairs.append((source, [ids[1][word] for word in target[: MAX_LENGTH - 1]]))
        ratio = statistics.mean(len(target) / len(source) for source, target in self.pairs)
        self.buckets = buckets(ratio)

    def batches(self, seed):
        """Batches of pairs without end: in every epoch each bucket is shuffled, and so is the order of all batches. The last
        batch of a bucket is filled up with other pairs of it."""
        dice = random.Random(seed)
        rows = collections.defaultdict(list)
        for pair in self.pairs:
            fits = (i for i, (s, t) in enumerate(self.buckets) if len(pair[0]) <= s and len(pair[1]) < t)
            rows[next(fits)].append(pair)
        for bucket in rows.values():
            bucket += dice.choices(bucket, k=-len(bucket) % BATCH_SENTENCES)
        while True:
            epoch = []
            for bucket in rows.values():
                dice.shuffle(bucket)
                epoch += [bucket[i : i + BATCH_SENTENCES] for i in range(0, len(bucket), BATCH_SENTENCES)]
            dice.shuffle(epoch)
            yield from epoch


def vocabulary(sentences):
    counts = collections.Counter(word for sentence in sentences for word in sentence)
    return {word: number + 4 for number, (word, _) in enumerate(counts.most_common())}


def buckets(ratio):
    """(source, target) limits as Sockeye makes them; the target's limit counts `<s>`."""
    steps = [BUCKET_WIDTH, BUCKET_WIDTH]
    shorter = 0 if ratio >= 1 else 1
    steps[shorter] = max(1, round(BUCKET_WIDTH / ratio if ratio >= 1 else BUCKET_WIDTH * ratio))
    sides = [list(range(step, MAX_LENGTH, step)) + [MAX_LENGTH] for step in steps]
    longest = max(map(len, sides))
    return list(zip(*(side + side[-1:] * (longest - len(side)) for side in sides)))


class Windows:
    """Counts the work of some updates, window by window, and tells of each on the terminal."""

    def __init__(self):
        self.done = []
        self.loss = float("nan")

    def start(self):
        self.counts = dict.fromkeys(["updates", "sentences", "source_tokens", "target_tokens"], 0)
        self.losses = 0.0
        self.cpu = time.process_time()
        self.started = time.perf_counter()

    def count(self, sentences, source_tokens, target_tokens, loss):
        """One update; `loss` is the sum over the target tokens."""
        counted = {
            "updates": 1,
            "sentences": sentences,
            "source_tokens": source_tokens,
            "target_tokens": target_tokens,
        }
        for name, number in counted.items():
            self.counts[name] += number
        self.losses += loss

    def end(self):
        seconds = time.perf_counter() - self.started
        window = {"seconds": seconds, **self.counts}
        self.done.append(window)
        self.loss = self.losses / max(window["target_tokens"], 1)
        cpu = time.process_time() - self.cpu
        print(
            f"window {len(self.done)}: {window['sentences'] / seconds:.1f} sentences/s, "
            f"{window['target_tokens'] / seconds:.0f} target tokens/s, {1e3 * seconds / window['updates']:.1f} ms "
            f"({1e3 * cpu / window['updates']:.1f} ms of processor time) an update, loss {self.loss:.3f}",
            flush=True,
        )


def finish(windows, options, system, precision, detail):
    """Prints the median, and writes the report where one is asked for."""
    speeds = [window["sentences"] / window["seconds"] for window in windows.done]
    # Linux counts KiB.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{system}, {options.work}, {precision}: median {statistics.median(speeds):.1f} sentences/s of {len(speeds)} windows "
        f"({min(speeds):.1f} to {max(speeds):.1f}), peak memory {memory} MiB; {detail}"
    )
    if options.report:
        report = {
            "system": system,
            "work": options.work,
            "precision": precision,
            "threads": options.threads,
            "windows": windows.done,
            "loss": windows.loss,
            "peak_memory_mib": memory,
            "detail": detail,
        }
        write_whole(options.report, json.dumps(report, indent=1) + "\n")


def write_whole(path, text):
    """A file is there whole or not at all: written beside its place, then renamed."""
    folder, name = os.path.split(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=name, dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
