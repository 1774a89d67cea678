"""Trains one of the works with PyTorch and says how fast: `cargo xtask peers run pytorch WORK` runs this.

The model (pytorch_model.py) is Sockeye's, written for speed; this program sets the machine up for it. What was fastest is the
default; `--variant` chooses otherwise, as words of `CHOICES` with commas between.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

import works

# The first word of each is the default, but for `steps`.
CHOICES = {
    # Matrix products in f32: MKL with its code for AVX-512, which it keeps from processors that are not Intel's; oneDNN; MKL
    # as it comes. Those in bf16 are oneDNN's in any case.
    "products": ("mkl512", "onednn", "mkl"),
    # The decoder's step (of a convolutional model: all but embeddings and output), as it stands or compiled.
    "steps": ("eager", "compiled"),
    # Softmax and its gradient: compiled, by operations in place, or the library's cross_entropy.
    "loss": ("fused", "inplace", "library"),
    # One compiled pass that clips too, or the library's Adam (fused) after clipping.
    "adam": ("onepass", "fusedadam"),
    # malloc keeps what it has and uses big pages, or does as it comes.
    "memory": ("kept", "returned"),
}

# Without these, every big tensor of every update is mapped, faulted in page by page, and unmapped.
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    # A threshold for mmap would not do: malloc accepts none above 32 MiB, and the logits are bigger.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}

# What MKL asks to find out whose processor it is.
MKL_QUESTION = "int mkl_serv_intel_cpu_true(void) { return 1; }\n"

# All shapes that matter have been compiled by then; those of the decoder's steps come up one by one.
WARM_UP = {"eager": 16, "compiled": 40}

# Of products of 512 terms, to the largest result: f32 gives 1e-6, bf16 4e-3.
F32_ERROR = 1e-5

DONE = "KOKANEE_PEER_ENVIRONMENT"


def choose(words, work, precision):
    """The choice of each kind, from words such as `onednn,inplace`."""
    chosen = {kind: names[0] for kind, names in CHOICES.items()}
    if precision == "bf16" and works.WORKS[work].cell != "cnn":
        # In f32 that changes nothing, and a convolutional model is slower with it.
        chosen["steps"] = "compiled"
    for word in filter(None, words.split(",")):
        kinds = [kind for kind, names in CHOICES.items() if word in names]
        if not kinds:
            known = ", ".join(name for names in CHOICES.values() for name in names)
            sys.exit(f"--variant has {word!r} where there are only {known}")
        chosen[kinds[0]] = word
    return chosen


def enter_environment(chosen, threads):
    """Starts the program once more with what a process must be started with."""
    if DONE in os.environ:
        return
    environment = {**os.environ, DONE: "1", "OMP_NUM_THREADS": str(threads)}
    if chosen["memory"] == "kept":
        environment.update(KEEP_MEMORY)
    if chosen["products"] == "mkl512":
        environment["LD_PRELOAD"] = mkl_answer()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def mkl_answer():
    """A library with the answer that it is Intel's, beside PyTorch; made where it is missing."""
    torch = importlib.util.find_spec("torch").submodule_search_locations[0]
    library = os.path.join(os.path.dirname(torch), "kokanee_mkl_answer.so")
    if not os.path.exists(library):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            sys.exit("no C compiler (cc): install one, or choose --variant onednn,inplace,fusedadam, which needs none")
        with tempfile.TemporaryDirectory(dir=os.path.dirname(torch)) as folder:
            made = os.path.join(folder, "answer.so")
            command = [compiler, "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", made]
            subprocess.run(command, input=MKL_QUESTION, text=True, check=True)
            os.replace(made, library)
    return library


def product_error():
    """How far products of f32 are from exact ones, by which it shows whether they are computed in f32."""
    import torch

    generator = torch.Generator().manual_seed(1)
    left, right = torch.randn(256, 512, generator=generator), torch.randn(512, 256, generator=generator)
    exact = left.double() @ right.double()
    return float(((left @ right) - exact).abs().max() / exact.abs().max())


def main():
    parser = works.arguments(__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--variant", default="", help=f"words with commas between, of {CHOICES}; the first are the default")
    parser.add_argument("--profile", action="store_true", help="print where the time of the windows goes")
    options = parser.parse_args()
    chosen = choose(options.variant, options.work, options.precision)
    enter_environment(chosen, options.threads)

    import torch
    from pytorch_model import Batch, LibraryAdam, OnePassAdam, Translator

    torch.set_num_threads(options.threads)
    if chosen["products"] == "onednn":
        # The way to oneDNN. It may use bf16 where that is faster for it, which the check below would show.
        torch.set_float32_matmul_precision("medium")
    error = product_error()
    if options.precision == "f32" and error > F32_ERROR:
        sys.exit(f"{chosen['products']} multiplies with an error of {error:.0e}: that is not f32; choose another variant")
    torch.manual_seed(options.seed)
    corpus = works.Corpus(options.data)
    model = Translator(
        works.WORKS[options.work], corpus.source_size, corpus.target_size, chosen["steps"] == "compiled", chosen["loss"]
    )
    optimizer = OnePassAdam(model) if chosen["adam"] == "onepass" else LibraryAdam(model)
    batches = map(Batch, corpus.batches(options.seed))
    windows = works.Windows()

    def update():
        batch = next(batches)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            loss = model(batch)
        (loss / len(batch.labels)).backward()
        model.finish()
        optimizer.step()
        windows.count(len(batch.source), batch.source_tokens, len(batch.labels), loss.item())

    def all_windows():
        for _ in range(options.windows):
            windows.start()
            for _ in range(options.updates):
                update()
            windows.end()

    warm_up = options.warm_up or WARM_UP[chosen["steps"]]
    windows.start()
    for _ in range(warm_up):
        update()
    if options.profile:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            all_windows()
        print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))
    else:
        all_windows()
    detail = (
        f"variant {','.join(chosen.values())}; error of f32 products {error:.0e}; warm-up {warm_up} updates; "
        f"no </s> after sources"
    )
    works.finish(windows, options, f"PyTorch {torch.__version__.split('+')[0]}", options.precision, detail)


if __name__ == "__main__":
    main()
