"""Checks the model of pytorch_speed.py: `cargo xtask peers setup` runs this.

Its gradients, much of which it makes itself, must be those of finite differences; padding must change nothing; a model that
knows nothing must lose ln(V) a token; and training must help.
"""

import math
import random
import sys

import torch
from torch import nn

import works
from pytorch_model import Batch, OnePassAdam, Translator

SOURCE_WORDS, TARGET_WORDS = 30, 40

WORKS = {cell: works.Work(cell, 16, 2) for cell in ("lstm", "gru", "cnn")}


def some_pairs(count, dice):
    def side(words):
        return [dice.randrange(4, words) for _ in range(dice.randint(1, 6))]

    return [(side(SOURCE_WORDS), side(TARGET_WORDS)) for _ in range(count)]


def model_of(cell, compiled, loss):
    torch.manual_seed(1)
    return Translator(WORKS[cell], SOURCE_WORDS, TARGET_WORDS, compiled, loss)


def check(what, got, want, tolerance):
    if not abs(got - want) <= tolerance * max(abs(want), 1e-3):
        sys.exit(f"{what}: got {got}, and {want} is right")


def check_gradients(cell, loss, pairs):
    """Every parameter's gradient along a random direction, in f64."""
    model = model_of(cell, False, loss).double()
    batch = Batch(pairs)
    model(batch).backward()
    model.finish()
    for name, parameter in model.named_parameters():
        direction = torch.randn_like(parameter)
        slope = float((parameter.grad * direction).sum())
        step = 1e-5
        losses = []
        for factor in (step, -2 * step):
            with torch.no_grad():
                parameter += factor * direction
            losses.append(float(model(batch).detach()))
        with torch.no_grad():
            parameter += step * direction
        check(f"{cell}, {loss}, gradient of {name}", slope, (losses[0] - losses[1]) / (2 * step), 1e-4)


def check_padding(cell, pairs):
    model = model_of(cell, False, "library").double()
    alone = sum(float(model(Batch([pair])).detach()) for pair in pairs)
    check(f"{cell}, loss of sentences by themselves", float(model(Batch(pairs)).detach()), alone, 1e-9)


def check_training(cell, pairs, precision, compiled):
    model = model_of(cell, compiled, "fused" if compiled else "inplace")
    optimizer = OnePassAdam(model, rate=0.01)
    losses = []
    for _ in range(25):
        batch = Batch(pairs)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = model(batch) / len(batch.labels)
        loss.backward()
        model.finish()
        optimizer.step()
        losses.append(loss.item())
    check(f"{cell}, {precision}, first loss", losses[0], math.log(TARGET_WORDS), 0.1)
    if not losses[-1] < 0.7 * losses[0]:
        sys.exit(f"{cell}, {precision}: the loss goes from {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} updates")


def main():
    # The products are too small for more.
    torch.set_num_threads(1)
    pairs = some_pairs(7, random.Random(1))
    for cell in WORKS:
        check_gradients(cell, "inplace", pairs)
        check_padding(cell, pairs)
        check_training(cell, pairs, "f32", compiled=False)
        check_training(cell, pairs, "bf16", compiled=False)
    check_gradients("lstm", "library", pairs)
    check_training("gru", pairs, "f32", compiled=True)
    print("the model's gradients, losses and training are right")


if __name__ == "__main__":
    main()
