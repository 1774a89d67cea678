"""Trains one of the works with Sockeye 1.18 and says how fast: `cargo xtask peers run sockeye WORK` runs this.

It is Sockeye's own training from its own command line, with its model, batches, metric and optimizer; `TimingTrainer` only
looks on. MXNet works in the background, so the clock is read when all that was begun has ended.
"""

import os
import sys
import tempfile

import works

WARM_UP = 12  # each bucket that comes up is bound in it, the rare long ones excepted

COMMON = f"""
    --num-embed {works.EMBEDDING} --max-seq-len {works.MAX_LENGTH} --bucket-width {works.BUCKET_WIDTH}
    --batch-type sentence --batch-size {works.BATCH_SENTENCES} --word-min-count 1 --embed-dropout 0
    --optimizer adam --initial-learning-rate {works.LEARNING_RATE}
    --gradient-clipping-type abs --gradient-clipping-threshold {works.CLIP} --weight-decay 0
    --loss cross-entropy --loss-normalization-type valid --label-smoothing 0 --decode-and-evaluate 0
"""


def flags(work):
    """What Sockeye's command line says of a work."""
    layers = f"--num-layers {work.layers}"
    if work.cell == "cnn":
        return f"""
            --encoder cnn --decoder cnn {layers} --cnn-activation-type glu --cnn-num-hidden {work.hidden}
            --cnn-kernel-width {works.ENCODER_KERNEL}:{works.DECODER_KERNEL} --cnn-hidden-dropout 0
        """
    return f"""
        --encoder rnn --decoder rnn {layers} --rnn-cell-type {work.cell} --rnn-num-hidden {work.hidden}
        --rnn-attention-type mlp --rnn-attention-num-hidden {work.hidden} --rnn-decoder-state-init last
        --rnn-decoder-hidden-dropout 0
    """


def write_corpus(data, folder):
    """Sockeye reads plain text; gives the flags that name it."""
    line = []
    for part, name in (("train", ""), ("val", "validation-")):
        for language, side in (("en", "source"), ("de", "target")):
            path = os.path.join(folder, f"{part}.{language}")
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(" ".join(words) + "\n" for words in works.lines(data, f"{part}.{language}.gz"))
            line += [f"--{name}{side}", path]
    return line


def main():
    options = works.arguments(__doc__.splitlines()[0]).parse_args()
    # OpenMP reads it once, when MXNet is loaded.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["MXNET_SUBGRAPH_VERBOSE"] = "0"
    # Sockeye's command line comes first: it insists on starting its worker processes before MXNet is there.
    from sockeye import train
    from sockeye import __version__, arguments, constants, training
    import mxnet as mx

    warm_up = options.warm_up or WARM_UP
    windows = works.Windows()

    class TimingTrainer(training.EarlyStoppingTrainer):
        """Sockeye's trainer, which counts the batches that pass by."""

        def _step(self, model, batch, checkpoint_interval, metric_train, metric_loss=None):
            if self.state.updates == 0:
                windows.start()
            [metric] = metric_train.metrics
            before = metric.sum_metric
            super()._step(model, batch, checkpoint_interval, metric_train, metric_loss)
            source, labels = batch.data[0].asnumpy(), batch.label[0].asnumpy()
            # Sources have a third dimension, of factors; there is one, the words.
            real = (int((ids != constants.PAD_ID).sum()) for ids in (source[:, :, 0], labels))
            windows.count(len(source), *real, metric.sum_metric - before)
            done = self.state.updates - warm_up
            if done == 0:
                mx.nd.waitall()
                windows.start()
            elif done > 0 and done % options.updates == 0:
                mx.nd.waitall()
                windows.end()
                windows.start()

    with tempfile.TemporaryDirectory() as folder:
        updates = warm_up + options.windows * options.updates
        line = (COMMON + flags(works.WORKS[options.work])).split() + write_corpus(options.data, folder)
        line += ["--use-cpu", "--quiet", "--seed", str(options.seed), "--output", os.path.join(folder, "model")]
        # No checkpoint comes before the end.
        line += ["--max-updates", str(updates), "--checkpoint-interval", str(updates + 1)]
        parser = arguments.ConfigArgumentParser()
        arguments.add_train_cli_args(parser)
        training.EarlyStoppingTrainer = TimingTrainer
        try:
            train.train(parser.parse_args(line))
        finally:
            # Sockeye sends uncaught exceptions to its log alone, which is quiet.
            sys.excepthook = sys.__excepthook__
    if len(windows.done) != options.windows:
        sys.exit(f"Sockeye made {len(windows.done)} windows of {options.updates} updates instead of {options.windows}")
    detail = (
        f"MXNet {mx.__version__}, OMP_NUM_THREADS={options.threads}, all else as it comes; warm-up {warm_up} updates; "
        "puts </s> after sources, as this version does"
    )
    works.finish(windows, options, f"Sockeye {__version__}", "f32", detail)


if __name__ == "__main__":
    main()
