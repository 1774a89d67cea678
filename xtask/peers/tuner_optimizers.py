"""Tuners behind one interface: `ask` names the next configuration, `tell` brings a loss, or None for a trial that failed.

Each begins with the same first configurations, and is otherwise left with its defaults, but for what its documentation recommends
for trials that run at the same time. Trials that were asked for and not yet told are running."""

import contextlib
import copy
import io
import json
import logging
import math
import random
import subprocess
import warnings

warnings.filterwarnings("ignore")


def texts(space, config):
    return [repr(config[d["name"]]) if d["kind"] == "continuous" else str(config[d["name"]]) for d in space]


def typed(space, values):
    """A configuration from strings."""
    kinds = {"continuous": float, "integer": int, "categorical": str}
    return {d["name"]: kinds[d["kind"]](value) for d, value in zip(space, values)}


def drawn(space, lots):
    """A configuration, evenly over the scales; `lots.random()` gives numbers in [0, 1)."""
    config = {}
    for d in space:
        unit = lots.random()
        if d["kind"] == "categorical":
            config[d["name"]] = d["values"][int(unit * len(d["values"]))]
            continue
        if d["scale"] == "logarithmic":
            value = d["min"] * (d["max"] / d["min"]) ** unit
        elif d["scale"] == "reverse-logarithmic":
            value = 1 - (1 - d["min"]) * ((1 - d["max"]) / (1 - d["min"])) ** unit
        elif d["kind"] == "integer":
            value = d["min"] + math.floor(unit * (d["max"] - d["min"] + 1))
        else:
            value = d["min"] + unit * (d["max"] - d["min"])
        value = min(max(value, d["min"]), d["max"])
        config[d["name"]] = int(round(value)) if d["kind"] == "integer" else value
    return config


class Kokanee:
    """The example `suggest` of crates/tuner, which keeps nothing: each request has the whole history."""

    strategy = "bayesian"

    def __init__(self, space, first, parallel, seed, program):
        self.space, self.first, self.seed = space, first, seed
        self.trials = []
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self):
        if len(self.trials) < len(self.first):
            config = self.first[len(self.trials)]
        else:
            request = {"space": self.space, "trials": self.trials, "seed": self.seed, "strategy": self.strategy}
            request["initial_trials"] = len(self.first)
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            config = typed(self.space, json.loads(self.process.stdout.readline())["values"])
        self.trials.append({"values": texts(self.space, config), "value": "running"})
        return config

    def tell(self, trial, config, loss):
        self.trials[trial]["value"] = "failed" if loss is None else loss

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Random(Kokanee):
    strategy = "random"


class Optuna:
    """TPE; running trials as its documentation of distributed studies recommends, by the constant liar."""

    def __init__(self, space, first, parallel, seed, program):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna = optuna
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=len(first), constant_liar=parallel > 1)
        self.study = optuna.create_study(sampler=sampler)
        for config in first:
            self.study.enqueue_trial(config)
        kinds = optuna.distributions
        self.distributions = {}
        for d in space:
            log = d.get("scale") == "logarithmic"
            if d["kind"] == "categorical":
                distribution = kinds.CategoricalDistribution(d["values"])
            elif d["kind"] == "integer":
                distribution = kinds.IntDistribution(d["min"], d["max"], log=log and d["min"] > 0)
            elif d["scale"] == "reverse-logarithmic":
                # It has no such scale; a user would tune the logarithm of the distance to 1.
                distribution = None
            else:
                distribution = kinds.FloatDistribution(d["min"], d["max"], log=log)
            self.distributions[d["name"]] = distribution
        self.reverse = {d["name"]: d for d in space if d.get("scale") == "reverse-logarithmic"}
        if self.reverse:
            self.study = optuna.create_study(sampler=sampler)
            for name, d in self.reverse.items():
                self.distributions[name] = kinds.FloatDistribution(1 - d["max"], 1 - d["min"], log=True)
            for config in first:
                turned = {name: 1 - value if name in self.reverse else value for name, value in config.items()}
                self.study.enqueue_trial(turned)
        self.trials = []

    def ask(self):
        trial = self.study.ask(self.distributions)
        self.trials.append(trial)
        config = dict(trial.params)
        for name, d in self.reverse.items():
            config[name] = min(max(1 - config[name], d["min"]), d["max"])
        return config

    def tell(self, trial, config, loss):
        state = self.optuna.trial.TrialState.FAIL if loss is None else None
        self.study.tell(self.trials[trial], loss, state=state)

    def close(self):
        pass


class Pending:
    """Keeps the history of optimisers that know nothing of running trials. Where one of them raises an error instead of a
    configuration, a random one is tried, as a user would; `faults` counts them."""

    def __init__(self, space, first, seed):
        self.space, self.first, self.seed = space, first, seed
        self.configs, self.losses, self.done, self.faults = [], {}, [], 0

    def ask(self):
        number = len(self.configs)
        if number < len(self.first):
            config = self.first[number]
        else:
            try:
                config = self.next()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # A panic of Rust is no Exception.
                self.faults += 1
                config = drawn(self.space, random.Random(self.seed * 1000 + number))
        self.configs.append(config)
        return config

    def tell(self, trial, config, loss):
        self.losses[trial] = loss
        self.done.append(trial)

    def running(self):
        return [number for number in range(len(self.configs)) if number not in self.losses]

    def values(self):
        return [loss for loss in self.losses.values() if loss is not None]

    def close(self):
        pass


def scaled(dimension, value):
    """A value on its scale, for tuners without scales."""
    scale = dimension.get("scale")
    if scale == "logarithmic":
        return math.log10(value)
    return math.log10(1 - value) if scale == "reverse-logarithmic" else value


def unscaled(dimension, value):
    scale = dimension["scale"]
    if scale == "logarithmic":
        value = 10**value
    elif scale == "reverse-logarithmic":
        value = 1 - 10**value
    return min(max(value, dimension["min"]), dimension["max"])


class ScikitOptimize(Pending):
    """GP with gp_hedge, its defaults. Failed trials are told as the worst loss so far, running ones as the least (cl_min)."""

    def __init__(self, space, first, parallel, seed, program):
        super().__init__(space, first, seed)
        import numpy
        from skopt import Optimizer
        from skopt.space import Categorical, Integer, Real

        def dimension(d):
            if d["kind"] == "categorical":
                return Categorical(d["values"])
            prior = "log-uniform" if d["scale"] == "logarithmic" else "uniform"
            if d["kind"] == "integer":
                return Integer(d["min"], d["max"], prior=prior)
            if d["scale"] == "reverse-logarithmic":
                return Real(1 - d["max"], 1 - d["min"], prior="log-uniform")
            return Real(d["min"], d["max"], prior=prior)

        self.numpy = numpy
        self.optimizer = Optimizer(
            [dimension(d) for d in space], "GP", n_initial_points=len(first), random_state=numpy.random.RandomState(seed)
        )
        self.told = 0

    def point(self, config):
        reverse = [d.get("scale") == "reverse-logarithmic" for d in self.space]
        low = [1 - d["max"] if turned else None for d, turned in zip(self.space, reverse)]
        values = [config[d["name"]] for d in self.space]
        return [max(1 - v, least) if turned else v for v, turned, least in zip(values, reverse, low)]

    def liar(self, number):
        """A copy of the optimiser, to be told of running trials. Its own `copy` fits the model once more, and draws from NumPy's
        global generator, so that no run could be repeated."""
        liar = copy.copy(self.optimizer)
        liar.Xi, liar.yi, liar.models = list(liar.Xi), list(liar.yi), list(liar.models)
        liar.gains_ = liar.gains_.copy()
        liar.rng = self.numpy.random.RandomState([self.seed, number])
        return liar

    def next(self):
        fresh = [n for n in self.done[self.told :]]
        self.told = len(self.done)
        worst, best = max(self.values()), min(self.values())
        if fresh:
            losses = [worst if self.losses[n] is None else self.losses[n] for n in fresh]
            self.optimizer.tell([self.point(self.configs[n]) for n in fresh], losses)
        optimizer = self.optimizer
        if running := self.running():
            optimizer = self.liar(len(self.configs))
            optimizer.tell([self.point(self.configs[n]) for n in running], [best] * len(running))
        config = {}
        for d, value in zip(self.space, optimizer.ask()):
            if d["kind"] == "integer":
                value = int(value)
            elif d["kind"] == "categorical":
                value = str(value)
            elif d["scale"] == "reverse-logarithmic":
                value = min(max(1 - float(value), d["min"]), d["max"])
            config[d["name"]] = value if d["kind"] != "continuous" else float(value)
        return config


class Egobox(Pending):
    """EGO with LogEI, its defaults. It has no scales, so it is given logarithms, and continuous numbers for integers on a scale. Running
    trials are told as the least loss (CLMIN, as its strategies for batches call it), failed ones as the worst: its `suggest` takes no NaN."""

    def __init__(self, space, first, parallel, seed, program):
        super().__init__(space, first, seed)
        import egobox
        import numpy

        self.egobox, self.numpy = egobox, numpy
        self.specs = [self.spec(d) for d in space]

    def spec(self, d):
        kinds, spec = self.egobox.XType, self.egobox.XSpec
        if d["kind"] == "categorical":
            return spec(kinds.ENUM, tags=d["values"])
        if d["kind"] == "integer" and d["scale"] == "linear":
            return spec(kinds.INT, [d["min"], d["max"]])
        return spec(kinds.FLOAT, sorted([scaled(d, d["min"]), scaled(d, d["max"])]))

    def point(self, config):
        return [
            d["values"].index(config[d["name"]]) if d["kind"] == "categorical" else scaled(d, config[d["name"]])
            for d in self.space
        ]

    def next(self):
        values, running = self.values(), self.running()
        x = self.numpy.array([self.point(self.configs[n]) for n in self.done + running], dtype=float)
        told = [max(values) if self.losses[n] is None else self.losses[n] for n in self.done]
        y = self.numpy.array(told + [min(values)] * len(running))[:, None]
        point = self.egobox.Egor(self.specs, seed=self.seed).suggest(x, y, seed=self.seed + len(self.configs))[0]
        config = {}
        for d, value in zip(self.space, point):
            if d["kind"] == "categorical":
                config[d["name"]] = d["values"][int(round(value))]
            elif d["kind"] == "integer":
                value = unscaled(d, float(value)) if d["scale"] != "linear" else value
                config[d["name"]] = int(round(value))
            else:
                config[d["name"]] = unscaled(d, float(value))
        return config


class SyneTune:
    """BayesianOptimization of 0.13, by the authors of AMT; it knows of running and failed trials itself."""

    def __init__(self, space, first, parallel, seed, program):
        with contextlib.redirect_stdout(io.StringIO()):
            from syne_tune import config_space
            from syne_tune.backend.trial_status import Trial
            from syne_tune.optimizer.baselines import BayesianOptimization
        logging.disable(logging.WARNING)

        def domain(d):
            if d["kind"] == "categorical":
                return config_space.choice(d["values"])
            log = d["scale"] == "logarithmic"
            if d["kind"] == "integer":
                return (config_space.lograndint if log else config_space.randint)(d["min"], d["max"])
            if d["scale"] == "reverse-logarithmic":
                return config_space.reverseloguniform(d["min"], d["max"])
            return (config_space.loguniform if log else config_space.uniform)(d["min"], d["max"])

        self.trial = Trial
        self.space = space
        self.scheduler = BayesianOptimization(
            {d["name"]: domain(d) for d in space},
            metric="loss",
            mode="min",
            random_seed=seed,
            points_to_evaluate=first,
            search_options={"debug_log": False, "num_init_random": len(first)},
        )
        self.trials = []

    def ask(self):
        import datetime

        number = len(self.trials)
        config = self.scheduler.suggest(number).config
        trial = self.trial(number, config, datetime.datetime(2020, 1, 1))
        self.scheduler.on_trial_add(trial)
        self.trials.append(trial)
        return {d["name"]: config[d["name"]] for d in self.space}

    def tell(self, trial, config, loss):
        if loss is None:
            self.scheduler.on_trial_error(self.trials[trial])
        else:
            self.scheduler.on_trial_complete(self.trials[trial], {"loss": loss})

    def close(self):
        pass


OPTIMIZERS = {
    "kokanee": Kokanee,
    "random": Random,
    "optuna": Optuna,
    "scikit-optimize": ScikitOptimize,
    "egobox": Egobox,
    "syne-tune": SyneTune,
}
