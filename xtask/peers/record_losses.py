"""Records what Sockeye 1.18 computes in its first updates: `cargo xtask peers record-losses` runs this.

For each model it runs Sockeye's own training, with nothing replaced: `RecordingTrainer` only looks on. Into a folder
for each model go

* `initial.mxnet`: the parameters before the first update, the very file that Sockeye wrote;
* `losses.json`: the ids of every batch and its loss before the update, as Sockeye's own metric says (mean negative
  log-likelihood per target token, `</s>` included, in float32).

Ids are recorded as records hold them: without padding, without the `<s>` before targets, and without the `</s>` that
this version of Sockeye puts after sources.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile

# Sockeye's command line comes first: it insists on starting its worker processes before MXNet is there.
from sockeye import train
from sockeye import __version__ as sockeye_version
from sockeye import arguments, constants, loss, training
import mxnet as mx
import numpy as np

UPDATES = 20

# A rate at which 20 updates move the loss. Dropout is off, since its random numbers cannot be shared. Gradients of so
# small a model never exceed the usual clipping threshold of 1, but do exceed this one. The lengths differ, so that the
# two sides cannot be mistaken for each other.
COMMON = """
    --num-embed 10:12 --max-seq-len 20:19 --batch-type sentence --batch-size 16 --embed-dropout 0:0
    --optimizer adam --initial-learning-rate 0.003 --gradient-clipping-type abs --gradient-clipping-threshold 0.05
    --weight-decay 0 --loss cross-entropy --loss-normalization-type valid --label-smoothing 0
    --weight-init xavier --weight-init-scale 2.34 --weight-init-xavier-factor-type in --seed 1
"""

# The models by the name of their folder. The test in algorithms/seq2seq/train/tests/sockeye_losses.rs builds the same ones.
MODELS = {
    "rnn": """
        --encoder rnn --decoder rnn --num-layers 1:1 --rnn-cell-type lstm --rnn-num-hidden 16
        --rnn-attention-type mlp --rnn-decoder-state-init last --rnn-decoder-hidden-dropout 0
    """,
    "cnn": """
        --encoder cnn --decoder cnn --num-layers 2:2 --cnn-activation-type glu --cnn-num-hidden 16
        --cnn-kernel-width 3:5 --cnn-hidden-dropout 0
    """,
}


class RecordingTrainer(training.EarlyStoppingTrainer):
    """Sockeye's trainer, which writes down each batch and its loss as they pass by."""

    updates = []  # of all trainers; emptied before each training
    vocabulary_sizes = {}

    def _step(self, model, batch, *args, **kwargs):
        super()._step(model, batch, *args, **kwargs)
        # The outputs are still those of the forward pass, which came before the update.
        metric = loss.CrossEntropyMetric(model.model_loss.loss_config)
        metric.update(batch.label, model.module.get_outputs())
        self.updates.append({"loss": metric.get()[1], "pairs": pairs(batch)})
        self.vocabulary_sizes["source_vocabulary"] = model.config.vocab_source_size
        self.vocabulary_sizes["target_vocabulary"] = model.config.vocab_target_size


def pairs(batch):
    """The (source, target) ids of a batch."""
    sources, targets = (data.asnumpy() for data in batch.data)
    # Sources have a third dimension, of factors; there is one, the words.
    rows = zip(sources[:, :, 0], targets)
    return [
        [strip(source, last=constants.EOS_SYMBOL), strip(target, first=constants.BOS_SYMBOL)]
        for source, target in rows
    ]


def strip(row, first=None, last=None):
    """The ids of a row without padding and without the symbol that must be its first or last."""
    ids = [int(i) for i in row if int(i) != constants.PAD_ID]
    number = constants.VOCAB_SYMBOLS.index(first or last)
    if ids[0 if first else -1] != number:
        sys.exit(f"a row lacks its {first or last}: {ids}")
    return ids[1:] if first else ids[:-1]


def record(name, golden, output):
    """Trains the model `name` on the corpus in `golden` and writes its two files into the folder `output`."""
    with tempfile.TemporaryDirectory() as work:
        corpus = {
            "--source": "train.src",
            "--target": "train.trg",
            "--validation-source": "val.src",
            "--validation-target": "val.trg",
            "--source-vocab": "vocab.src.json",
            "--target-vocab": "vocab.trg.json",
        }
        flags = COMMON.split() + MODELS[name].split()
        line = flags + ["--use-cpu", "--quiet", "--decode-and-evaluate", "0", "--max-updates", str(UPDATES)]
        line += ["--checkpoint-interval", str(UPDATES), "--output", os.path.join(work, "model")]
        for flag, file in corpus.items():
            line += [flag, os.path.join(golden, file)]
        parser = arguments.ConfigArgumentParser()
        arguments.add_train_cli_args(parser)

        RecordingTrainer.updates.clear()
        training.EarlyStoppingTrainer = RecordingTrainer
        try:
            train.train(parser.parse_args(line))
        finally:
            # Sockeye sends uncaught exceptions to its log alone, which is quiet.
            sys.excepthook = sys.__excepthook__

        updates = RecordingTrainer.updates
        if len(updates) != UPDATES:
            sys.exit(f"{name}: Sockeye made {len(updates)} updates instead of {UPDATES}")
        os.makedirs(output, exist_ok=True)
        initial = os.path.join(work, "model", constants.PARAMS_NAME % 0)
        write_whole(os.path.join(output, "initial.mxnet"), lambda path: shutil.copyfile(initial, path))
        text = as_json(flags, updates)
        write_whole(os.path.join(output, "losses.json"), lambda path: write_text(path, text))
    print(f"{name}: {updates[0]['loss']:.4f} before the first update, {updates[-1]['loss']:.4f} before the last")


def as_json(flags, updates):
    """A line for each update: small, and a change shows in a diff."""
    head = {
        "recorded_with": f"Sockeye {sockeye_version}, MXNet {mx.__version__}, NumPy {np.__version__}",
        "flags": " ".join(flags),
        **RecordingTrainer.vocabulary_sizes,
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    compact = [json.dumps(update, separators=(",", ":")) for update in updates]
    return "{\n" + "\n".join(lines) + '\n  "updates": [\n    ' + ",\n    ".join(compact) + "\n  ]\n}\n"


def write_text(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_whole(path, write):
    """A file is there whole or not at all: written beside its place, then renamed."""
    temporary = path + ".part"
    write(temporary)
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--golden", required=True, help="folder with train, val and vocab files")
    parser.add_argument("--output", required=True, help="folder that gets a folder for each model")
    folders = parser.parse_args()
    for name in MODELS:
        record(name, folders.golden, os.path.join(folders.output, name))


if __name__ == "__main__":
    main()
