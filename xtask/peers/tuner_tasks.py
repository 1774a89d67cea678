"""What tuners are compared at: functions with known minima, in disguises and with noise, and recorded trainings.

A task has a space, a loss without noise for a configuration (None where the trial fails), the standard deviation of the noise
that a tuner sees, and the least loss there is."""

import csv
import itertools
import math
from pathlib import Path

import numpy as np


def real(name, low, high, scale="linear"):
    return {"name": name, "kind": "continuous", "min": low, "max": high, "scale": scale}


def whole(name, low, high, scale="linear"):
    return {"name": name, "kind": "integer", "min": low, "max": high, "scale": scale}


def choice(name, values):
    return {"name": name, "kind": "categorical", "values": values}


class Task:
    def __init__(self, name, space, loss, least, noise=0.0):
        self.name, self.space, self.loss, self.least, self.noise = name, space, loss, least, noise


def reals(count, low, high):
    return [real(f"x{i}", low, high) for i in range(count)]


def vector(function):
    """A function of a list as one of a configuration of reals."""
    return lambda config: function([config[f"x{i}"] for i in range(len(config))])


# Formulas and minima as in Surjanovic and Bingham, "Virtual Library of Simulation Experiments" (sfu.ca/~ssurjano).


def branin(x):
    a, b = x
    return (b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


BRANIN_LEAST = 0.397887357729738

HARTMANN_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
HARTMANN_3 = (
    np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]]),
    1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]),
)
HARTMANN_6 = (
    np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]),
    1e-4
    * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    ),
)
HARTMANN_3_LEAST, HARTMANN_6_LEAST = -3.86278214782076, -3.32236801141551


def hartmann(constants):
    steepness, centers = constants
    return lambda x: float(-HARTMANN_WEIGHTS @ np.exp(-(steepness * (np.array(x) - centers) ** 2).sum(1)))


def rosenbrock(x):
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:]))


def ackley(x):
    x = np.array(x)
    hollow = 20 * math.exp(-0.2 * math.sqrt((x**2).mean()))
    return float(20 + math.e - hollow - math.exp(np.cos(2 * math.pi * x).mean()))


def michalewicz(x):
    return -sum(math.sin(v) * math.sin((i + 1) * v * v / math.pi) ** 20 for i, v in enumerate(x))


MICHALEWICZ_5_LEAST = -4.687658179088148


def camel(x):
    a, b = x
    return (4 - 2.1 * a * a + a**4 / 3) * a * a + a * b + (4 * b * b - 4) * b * b


CAMEL_LEAST = -1.031628453489877


def goldstein_price(x):
    a, b = x
    first = 1 + (a + b + 1) ** 2 * (19 - 14 * a + 3 * a * a - 14 * b + 6 * a * b + 3 * b * b)
    second = 30 + (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a * a + 48 * b - 36 * a * b + 27 * b * b)
    return first * second


SHEKEL_WIDTHS = np.array([1, 2, 2, 4, 4, 6, 3, 7, 5, 5]) / 10
SHEKEL_CENTERS = np.array(
    [
        [4, 4, 4, 4],
        [1, 1, 1, 1],
        [8, 8, 8, 8],
        [6, 6, 6, 6],
        [3, 7, 3, 7],
        [2, 9, 2, 9],
        [5, 3, 5, 3],
        [8, 1, 8, 1],
        [6, 2, 6, 2],
        [7, 3.6, 7, 3.6],
    ]
)


def shekel(x):
    return float(-(1 / (((np.array(x) - SHEKEL_CENTERS) ** 2).sum(1) + SHEKEL_WIDTHS)).sum())


SHEKEL_LEAST = -10.53644315348353


def styblinski(x):
    return sum(v**4 - 16 * v * v + 5 * v for v in x) / 2


# Of one input.
STYBLINSKI_LEAST = -39.16616570377142


def levy(x):
    w = [1 + (v - 1) / 4 for v in x]
    middle = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def griewank(x):
    waves = math.prod(math.cos(v / math.sqrt(i + 1)) for i, v in enumerate(x))
    return sum(v * v for v in x) / 4000 - waves + 1


def dixon_price(x):
    return (x[0] - 1) ** 2 + sum((i + 2) * (2 * b * b - a) ** 2 for i, (a, b) in enumerate(zip(x, x[1:])))


# The categories of shekel_in_disguise and their places on its last input.
KERNELS = {"linear": 7.0, "poly": 2.0, "rbf": 4.0, "sigmoid": 9.0, "laplacian": 5.5}


def shekel_in_disguise(config):
    """Shekel's function, whose inputs are a logarithm, integers and an order of categories."""
    return shekel([math.log10(config["cost"]) + 4, config["degree"], math.log2(config["cache"]), KERNELS[config["kernel"]]])


def least_of_shekel_in_disguise():
    """The least of shekel_in_disguise: for each integer and category the continuous input on a grid that gets finer."""
    best = math.inf
    for degree in range(11):
        for cache in range(1, 1025):
            for kernel in KERNELS.values():
                rest = ((np.array([degree, math.log2(cache), kernel]) - SHEKEL_CENTERS[:, 1:]) ** 2).sum(1) + SHEKEL_WIDTHS
                low, high = 0.0, 10.0
                while high - low > 1e-9:
                    grid = np.linspace(low, high, 101)
                    losses = -(1 / ((grid[:, None] - SHEKEL_CENTERS[:, 0]) ** 2 + rest)).sum(1)
                    least, step = losses.argmin(), (high - low) / 100
                    low, high = max(grid[least] - step, 0.0), min(grid[least] + step, 10.0)
                    if losses[least] > 0.9 * best:
                        break
                best = min(best, float(losses.min()))
    return best


def hartmann_in_disguise(config):
    """Hartmann's function of six, whose inputs are logarithms, integers and an order of categories."""
    return hartmann(HARTMANN_6)(
        [
            math.log10(config["rate"]) / 4 + 1.25,
            math.log2(config["batch"] / 8) / 7,
            config["layers"] / 10,
            1 + math.log10(1 - config["momentum"]) / 3,
            config["dropout"],
            [0.9, 0.05, 0.65, 0.3][["sgd", "adam", "adagrad", "rmsprop"].index(config["optimizer"])],
        ]
    )


def least_of_disguise():
    """The least of hartmann_in_disguise: for each integer and category the continuous inputs by coordinate descent on a grid that
    gets finer."""
    best = math.inf
    units = {"rate": lambda u: 10 ** (4 * u - 5), "momentum": lambda u: 1 - 10 ** (3 * u - 3), "dropout": lambda u: u}
    ranges = {"rate": (0.0, 1.0), "momentum": (0.0, 1.0), "dropout": (0.0, 1.0)}
    for optimizer in ("sgd", "adam", "adagrad", "rmsprop"):
        for layers in range(11):
            for start in itertools.product((0.2, 0.8), repeat=3):
                place = dict(zip(units, start), batch=0.5)
                step, least = 0.2, math.inf
                while step > 1e-6:
                    improved = False
                    for name in place:
                        for shift in (-step, step):
                            moved = dict(place, **{name: min(max(place[name] + shift, 0.0), 1.0)})
                            config = {key: units[key](moved[key]) for key in ranges}
                            config["momentum"] = min(config["momentum"], 0.999)
                            config |= {"batch": round(8 * 2 ** (7 * moved["batch"])), "layers": layers, "optimizer": optimizer}
                            loss = hartmann_in_disguise(config)
                            if loss < least:
                                place, least, improved = moved, loss, True
                    step *= 1 if improved else 0.5
                best = min(best, least)
    return best


def training(config):
    """The error of a made-up training: best at a rate that depends on the optimiser, and at four layers."""
    rate = math.log10(config["rate"])
    center = {"adam": -3.0, "sgd": -1.5, "adagrad": -2.0}[config["optimizer"]]
    floor = {"adam": 0.10, "sgd": 0.12, "adagrad": 0.16}[config["optimizer"]]
    return floor + 0.05 * (rate - center) ** 2 + 0.01 * (config["layers"] - 4) ** 2


def failing_branin(x):
    """Fails in an ellipse that holds one of the three minima."""
    if (x[0] + 1.0) ** 2 / 25 + (x[1] - 8.0) ** 2 / 36 < 1:
        return None
    return branin(x)


class Recorded:
    """Trainings that were run: a configuration costs what its nearest neighbour cost, each column on its scale and in [0, 1]."""

    def __init__(self, path, space, loss):
        with open(path, newline="") as file:
            rows = [row for row in csv.DictReader(line for line in file if not line.startswith("#"))]
        self.space = space
        self.points = np.array([self.point(row) for row in rows])
        self.losses = [float(row[loss]) for row in rows]

    def point(self, config):
        point = []
        for dimension in self.space:
            value = config[dimension["name"]]
            if dimension["kind"] == "categorical":
                # As far apart as half of a range.
                point += [0.35 * (value == other) for other in dimension["values"]]
                continue
            scale = math.log if dimension["scale"] == "logarithmic" else float
            low, high = scale(dimension["min"]), scale(dimension["max"])
            point.append((scale(float(value)) - low) / (high - low))
        return point

    def __call__(self, config):
        distances = ((self.points - np.array(self.point(config))) ** 2).sum(1)
        return self.losses[int(distances.argmin())]


# As in crates/kokanee/benches/quality/tuning.rs, which records the trainings.
RECORDED_SPACE = [
    real("learning_rate", 1e-4, 3e-2, "logarithmic"),
    choice("rnn_num_hidden", ["32", "64", "128"]),
    whole("num_embed_source", 16, 64, "logarithmic"),
    real("rnn_decoder_hidden_dropout", 0.0, 0.5),
    whole("batch_size", 32, 256, "logarithmic"),
    choice("optimizer_type", ["adam", "sgd", "rmsprop"]),
]


def tasks(recorded=None):
    branin_space = [real("x0", -5.0, 10.0), real("x1", 0.0, 15.0)]
    hartmann_3, hartmann_6 = vector(hartmann(HARTMANN_3)), vector(hartmann(HARTMANN_6))
    disguise = [
        real("rate", 1e-5, 1e-1, "logarithmic"),
        whole("batch", 8, 1024, "logarithmic"),
        whole("layers", 0, 10),
        real("momentum", 0.0, 0.999, "reverse-logarithmic"),
        real("dropout", 0.0, 1.0),
        choice("optimizer", ["sgd", "adam", "adagrad", "rmsprop"]),
    ]
    training_space = [
        real("rate", 1e-5, 1.0, "logarithmic"),
        whole("layers", 1, 8),
        choice("optimizer", ["adam", "sgd", "adagrad"]),
    ]
    all_tasks = [
        Task("branin", branin_space, vector(branin), BRANIN_LEAST),
        Task("hartmann3", reals(3, 0.0, 1.0), hartmann_3, HARTMANN_3_LEAST),
        Task("hartmann6", reals(6, 0.0, 1.0), hartmann_6, HARTMANN_6_LEAST),
        Task("rosenbrock5", reals(5, -5.0, 10.0), vector(rosenbrock), 0.0),
        # Not symmetric: the middle of the space must not be the answer.
        Task("ackley10", reals(10, -15.0, 30.0), vector(ackley), 0.0),
        Task("michalewicz5", reals(5, 0.0, math.pi), vector(michalewicz), MICHALEWICZ_5_LEAST),
        Task("branin+noise", branin_space, vector(branin), BRANIN_LEAST, noise=5.0),
        Task("hartmann6+noise", reals(6, 0.0, 1.0), hartmann_6, HARTMANN_6_LEAST, noise=0.3),
        Task("ackley10+noise", reals(10, -15.0, 30.0), vector(ackley), 0.0, noise=1.0),
        Task("training+noise", training_space, training, 0.10, noise=0.05),
        Task("hartmann6 in disguise", disguise, hartmann_in_disguise, DISGUISE_LEAST),
        Task("branin that fails", branin_space, vector(failing_branin), BRANIN_LEAST),
    ]
    if recorded is not None and Path(recorded).is_file():
        table = Recorded(recorded, RECORDED_SPACE, "loss")
        all_tasks.append(Task("recorded seq2seq", RECORDED_SPACE, table, min(table.losses)))
    return {task.name: task for task in all_tasks}


def held_out():
    """Tasks that were not used to choose Kokanee's constants, two of them above ten dimensions."""
    disguise = [
        real("cost", 1e-4, 1e6, "logarithmic"),
        whole("degree", 0, 10),
        whole("cache", 1, 1024, "logarithmic"),
        choice("kernel", list(KERNELS)),
    ]
    camel_space = [real("x0", -3.0, 3.0), real("x1", -2.0, 2.0)]
    all_tasks = [
        Task("camel", camel_space, vector(camel), CAMEL_LEAST),
        Task("goldstein-price", reals(2, -2.0, 2.0), vector(goldstein_price), 3.0),
        Task("shekel4", reals(4, 0.0, 10.0), vector(shekel), SHEKEL_LEAST),
        # Not symmetric, as Ackley's function above.
        Task("griewank5", reals(5, -200.0, 400.0), vector(griewank), 0.0),
        Task("styblinski6", reals(6, -5.0, 5.0), vector(styblinski), 6 * STYBLINSKI_LEAST),
        Task("levy8", reals(8, -10.0, 10.0), vector(levy), 0.0),
        Task("dixon-price12", reals(12, -10.0, 10.0), vector(dixon_price), 0.0),
        Task("levy20", reals(20, -10.0, 10.0), vector(levy), 0.0),
        Task("camel+noise", camel_space, vector(camel), CAMEL_LEAST, noise=0.3),
        Task("styblinski6+noise", reals(6, -5.0, 5.0), vector(styblinski), 6 * STYBLINSKI_LEAST, noise=10.0),
        Task("levy8+noise", reals(8, -10.0, 10.0), vector(levy), 0.0, noise=3.0),
        Task("shekel4 in disguise", disguise, shekel_in_disguise, SHEKEL_IN_DISGUISE_LEAST),
    ]
    return {task.name: task for task in all_tasks}


# By `python tuner_tasks.py`.
DISGUISE_LEAST = -3.31554420173914
SHEKEL_IN_DISGUISE_LEAST = -10.53633935749892

if __name__ == "__main__":
    print("hartmann6 in disguise", least_of_disguise())
    print("shekel4 in disguise", least_of_shekel_in_disguise())
