"""Preparing parallel text the way AWS's sample script does it, to be measured beside `kokanee prepare`.

  prepare_like_aws.py SOURCE TARGET FOLDER [--one-process]

Counts the words of both texts, ranks them, writes vocab.src.json and vocab.trg.json, and turns every pair of lines into a
protobuf record in train.rec (RecordIO). The work is divided as in the sample: one process reads and looks words up, all cores
but one (one at least) make records, one process writes, with queues between them; words come one by one from a generator,
and `<unk>` is looked up for each. With --one-process the same is done in a row, to show what the queues cost.

The last line of output is JSON: pairs, and the peak memory of all processes together in KiB (the sum of their peaks).
Needs Python's protobuf; the schema is built here, so no generated code is needed.
"""

import collections
import itertools
import json
import multiprocessing
import os
import resource
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MAGIC = 0xCED7230A
UNK = "<unk>"
SYMBOLS = ["<pad>", UNK, "<s>", "</s>"]
MOST_WORDS = 50000


def record_class():
    """aialgs.data.Record with the parts that pairs of sentences use."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="pairs.proto", package="aialgs.data", syntax="proto2")
    tensor = file.message_type.add(name="Int32Tensor")
    values = tensor.field.add(name="values", number=1, type=kind.TYPE_INT32, label=kind.LABEL_REPEATED)
    values.options.packed = True
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    value.field.add(
        name="int32_tensor",
        number=7,
        type=kind.TYPE_MESSAGE,
        type_name=".aialgs.data.Int32Tensor",
        label=kind.LABEL_OPTIONAL,
        oneof_index=0,
    )
    record = file.message_type.add(name="Record")
    entry = record.nested_type.add(name="FeaturesEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    entry.field.add(
        name="value", number=2, type=kind.TYPE_MESSAGE, type_name=".aialgs.data.Value", label=kind.LABEL_OPTIONAL
    )
    record.field.add(
        name="features",
        number=1,
        type=kind.TYPE_MESSAGE,
        type_name=".aialgs.data.Record.FeaturesEntry",
        label=kind.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


RECORD = record_class()


def lines(path):
    return open(path, encoding="utf-8", errors="replace")


def words(line):
    for word in line.split():
        if word:
            yield word


def vocabulary(path):
    """Ids by word: special symbols, then the most frequent words, ties by spelling, last first."""
    special = set(SYMBOLS)
    with lines(path) as text:
        counts = collections.Counter(word for line in text for word in words(line) if word not in special)
    ranked = sorted(((count, word) for word, count in counts.items()), reverse=True)
    known = itertools.chain(SYMBOLS, (word for _, word in ranked[:MOST_WORDS]))
    return {word: number for number, word in enumerate(known)}


def pairs(source, target, ids):
    """The ids of every pair of lines that has words on both sides."""
    with lines(source) as sources, lines(target) as targets:
        for both in zip(sources, targets):
            if all(line.strip() for line in both):
                yield [[known.get(word, known[UNK]) for word in words(line)] for known, line in zip(ids, both)]


def encoded(pair):
    record = RECORD()
    record.features["source"].int32_tensor.values.extend(pair[0])
    record.features["target"].int32_tensor.values.extend(pair[1])
    return record.SerializeToString()


def write_frame(file, payload):
    file.write(struct.pack("<I", MAGIC))
    file.write(struct.pack("<I", len(payload)))
    file.write(payload)
    file.write(bytes(-len(payload) % 4))


def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def make_records(taken, made, peaks):
    while (pair := taken.get()) is not None:
        made.put(encoded(pair))
    peaks.put(peak_kib())


def write_records(made, path, peaks):
    with open(path, "wb") as file:
        while (payload := made.get()) is not None:
            write_frame(file, payload)
    peaks.put(peak_kib())


def in_processes(numbered, path):
    """Gives the number of pairs and the peaks of the processes."""
    queue, process = multiprocessing.Queue, multiprocessing.Process
    peaks, made = queue(), queue()
    takers = [queue() for _ in range(max(multiprocessing.cpu_count() - 1, 1))]
    makers = [process(target=make_records, args=(taken, made, peaks)) for taken in takers]
    writer = process(target=write_records, args=(made, path, peaks))
    for child in [*makers, writer]:
        child.start()
    count = 0
    for count, pair in enumerate(numbered, start=1):
        takers[count % len(takers)].put(pair)
    for taken in takers:
        taken.put(None)
    found = [peaks.get() for _ in makers]
    for maker in makers:
        maker.join()
    made.put(None)
    found.append(peaks.get())
    writer.join()
    return count, found


def in_one_process(numbered, path):
    count = 0
    with open(path, "wb") as file:
        for count, pair in enumerate(numbered, start=1):
            write_frame(file, encoded(pair))
    return count, []


def main(source, target, folder, *options):
    ids = vocabulary(source), vocabulary(target)
    for name, known in zip(["vocab.src.json", "vocab.trg.json"], ids):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(known, file, indent=4, ensure_ascii=False)
    run = in_one_process if "--one-process" in options else in_processes
    count, peaks = run(pairs(source, target, ids), os.path.join(folder, "train.rec"))
    print(json.dumps({"pairs": count, "peak_kib": sum(peaks) + peak_kib()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
