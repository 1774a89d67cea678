"""Translates a text with Sockeye 1.18 and says how fast: `cargo xtask bench decode --peers sockeye` runs this.

It is `sockeye.translate` on its own command line, without loading the model and without writing; what comes first is
translated twice, since MXNet makes its graph for every length when that comes up.
"""

import argparse
import gzip
import os
import resource
import statistics
import tempfile
import time

import works


def numbers(text):
    return [works.positive(number) for number in text.split(",")]


def read_lines(path):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read().splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder that `kokanee export` wrote")
    parser.add_argument("--text", required=True, help="sentences, one a line, maybe with gzip")
    parser.add_argument("--batch", type=numbers, default=[1, 16, 64])
    parser.add_argument("--beam", type=works.positive, default=5)
    parser.add_argument("--threads", type=works.positive, default=2)
    parser.add_argument("--sentences", type=works.positive, default=1000, help="for the largest batch; fewer for others")
    parser.add_argument("--windows", type=works.positive, default=3)
    options = parser.parse_args()
    # OpenMP reads it once, when MXNet is loaded.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["MXNET_SUBGRAPH_VERBOSE"] = "0"
    from sockeye import translate
    from sockeye import __version__, arguments

    lines = read_lines(options.text)[: options.sentences]
    print(f"Sockeye {__version__}, beam {options.beam}, threads {options.threads}")
    print(f"{'batch':>6} {'sentences/s':>11} {'tokens/s':>9} {'length':>7} {'sentences':>9} {'peak MB':>8}")

    def time_it(translator, chunk_size, input_file, input_factors, input_is_json, **_):
        inputs = list(translate.make_inputs(input_file, translator, input_is_json, input_factors))
        batch = translator.max_batch_size
        # As Sockeye does: without batches sentence by sentence, else as many as it can sort by length.
        size = 1 if batch == 1 else chunk_size or len(inputs)
        seconds, words = [], 0
        for _ in range(1 + options.windows):
            started = time.perf_counter()
            outputs = [output for chunk in translate.grouper(inputs, size) for output in translator.translate(chunk)]
            seconds.append(time.perf_counter() - started)
            words = sum(len(output.translation.split()) for output in outputs)
        middle = statistics.median(seconds[1:])
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{batch:>6} {len(inputs) / middle:>11.1f} {words / middle:>9.0f} {words / len(inputs):>7.1f} "
            f"{len(inputs):>9} {memory:>8}",
            flush=True,
        )

    translate.read_and_translate = time_it
    with tempfile.TemporaryDirectory() as folder:
        for batch in options.batch:
            # As many as Kokanee's benchmark takes.
            count = max(1, options.sentences * (batch + 15) // (max(options.batch) + 15))
            text = os.path.join(folder, "text")
            with open(text, "w", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in lines[:count])
            flags = ["--use-cpu", "--quiet", "--models", options.model, "--input", text]
            flags += ["--output", os.path.join(folder, "output")]
            flags += ["--beam-size", str(options.beam), "--batch-size", str(batch)]
            parser = arguments.ConfigArgumentParser()
            arguments.add_translate_cli_args(parser)
            translate.run_translate(parser.parse_args(flags))


if __name__ == "__main__":
    main()
