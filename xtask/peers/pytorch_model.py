"""The models of the works in PyTorch, written for speed; pytorch_speed.py trains them.

B sentences, S source positions, N real target tokens of a batch, H hidden units, E embedding, G gates times H, V words.
Targets are packed: the tokens of all sentences at the first position, then at the second, and so on. Rows are sorted by target
length, so that those which still go on are the first ones.
"""

import logging

import torch
import torch.nn.functional as F
from torch import nn

import works

# It says that Triton is missing, which only GPUs need.
logging.getLogger("torch.utils.flop_counter").setLevel(logging.ERROR)


class Batch:
    """Pairs of ids as tensors."""

    def __init__(self, pairs):
        pairs = sorted(pairs, key=lambda pair: -len(pair[1]))
        sources = [torch.tensor(source) for source, _ in pairs]
        self.source = nn.utils.rnn.pad_sequence(sources, batch_first=True)  # B, S
        self.lengths = torch.tensor([len(source) for source in sources])  # B
        self.source_tokens = int(self.lengths.sum())
        # How many sentences have a token (a word or </s>) at each position.
        longest = len(pairs[0][1]) + 1
        self.rows = [sum(len(target) >= step for _, target in pairs) for step in range(longest)]
        words = [[works.BOS] + target + [works.EOS] for _, target in pairs]
        self.previous = torch.tensor([w[t] for t in range(longest) for w in words if t + 1 < len(w)])  # N
        self.labels = torch.tensor([w[t + 1] for t in range(longest) for w in words if t + 1 < len(w)])  # N
        self.mask = torch.arange(self.source.shape[1]) >= self.lengths[:, None]  # B, S: true at padding


class Late:
    """A weight that a loop multiplies with, and whose gradient is one product after the loop.

    For autograd the weight is constant. `added` (N, out) is added to the products; its gradient is that of all products.
    """

    def __init__(self, weight, added, rows):
        self.weight = weight
        # Outside of autocast a weight is laid out once for the whole loop.
        self.value = weight.detach().to(added.dtype).t()
        added.retain_grad()
        self.added = added
        self.slices = added.split(rows)
        self.inputs = []

    def set_gradient(self):
        gradient = self.added.grad.t() @ torch.cat(self.inputs)
        self.weight.grad = gradient.to(self.weight.dtype)


def lstm(gates, c):
    """The cell after its product; the order of gates is input, forget, output, candidate."""
    sigmoids, candidate = gates.split([3 * c.shape[1], c.shape[1]], 1)
    i, f, o = sigmoids.sigmoid().chunk(3, 1)
    c = f * c + i * candidate.tanh()
    return o * c.tanh(), c


def gru(inputs, recurrent, h):
    """The cell after its two products; the order of gates is reset, update, candidate."""
    size = 2 * h.shape[1]
    reset, update = (inputs[:, :size] + recurrent[:, :size]).sigmoid().chunk(2, 1)
    candidate = (inputs[:, size:] + reset * recurrent[:, size:]).tanh()
    return candidate + update * (h - candidate)


def attend(query, projected, memory, bias, score):
    """Mlp attention: the context, of shape (n, H). `projected` and `memory` are (n, S, H), `bias` (n, S) hides padding."""
    scores = torch.tanh(projected + query[:, None]) @ score
    weights = F.softmax(scores + bias, 1)
    return torch.bmm(weights[:, None], memory).squeeze(1)


def lstm_step(added, query_added, output_added, weight, query, output, fed, h, c, projected, memory, bias, score):
    gates = torch.addmm(added, torch.cat([fed, h], 1), weight)
    h, c = lstm(gates, c)
    context = attend(torch.addmm(query_added, h, query), projected, memory, bias, score)
    both = torch.cat([h, context], 1)
    return torch.addmm(output_added, both, output).tanh(), h, c, both


def gru_step(
    added, recurrent_added, query_added, output_added, weight, recurrent, query, output, fed, h, projected, memory, bias, score
):
    h = gru(torch.addmm(added, fed, weight), torch.addmm(recurrent_added, h, recurrent), h)
    context = attend(torch.addmm(query_added, h, query), projected, memory, bias, score)
    both = torch.cat([h, context], 1)
    return torch.addmm(output_added, both, output).tanh(), h, both


class Recurrent(nn.Module):
    """A bidirectional layer, mlp attention, and a decoder of one layer that is fed its last attentional vector."""

    def __init__(self, work, compiled):
        super().__init__()
        size = work.hidden
        self.is_lstm = work.cell == "lstm"
        layer = nn.LSTM if self.is_lstm else nn.GRU
        # Two layers of one direction on padded sentences, since that is faster than one of two on packed sentences.
        self.encoder = nn.ModuleList([layer(works.EMBEDDING, size // 2, batch_first=True) for _ in range(2)])
        self.first = nn.Linear(size, 2 * size if self.is_lstm else size)
        self.projection = nn.Linear(size, size, bias=False)
        gates = (4 if self.is_lstm else 3) * size
        self.inputs = nn.Linear(works.EMBEDDING, gates)
        if self.is_lstm:
            self.fed = nn.Linear(2 * size, gates, bias=False)
        else:
            self.fed = nn.Linear(size, gates, bias=False)
            self.recurrent = nn.Linear(size, gates)
        self.query = nn.Linear(size, size, bias=False)
        self.score = nn.Parameter(torch.empty(size).uniform_(-(size**-0.5), size**-0.5))
        self.output = nn.Linear(2 * size, size)
        self.step = lstm_step if self.is_lstm else gru_step
        if compiled:
            self.step = torch.compile(self.step, dynamic=True)

    def encode(self, source, batch):
        """(B, S, H) of embedded words (B, S, E), and what is there at the last words (B, H)."""
        rows = torch.arange(len(source))
        # Sentences turned round within their length, so that padding is at the end for both directions.
        places = torch.arange(source.shape[1])
        turned = torch.where(batch.mask, places, batch.lengths[:, None] - 1 - places)
        forwards, _ = self.encoder[0](source)
        backwards, _ = self.encoder[1](source[rows[:, None], turned])
        memory = torch.cat([forwards, backwards[rows[:, None], turned]], 2)
        return memory, memory[rows, batch.lengths - 1]

    def forward(self, source, target, batch):
        """The attentional vectors (N, H) of embedded words."""
        memory, last = self.encode(source, batch)
        projected = self.projection(memory)
        first = self.first(last).tanh()
        kind = projected.dtype
        memory = memory.to(kind)
        bias = torch.zeros(batch.mask.shape, dtype=kind).masked_fill_(batch.mask, -1e9)
        tokens = len(target)
        gates = self.inputs(target)
        query_rows = torch.zeros(tokens, self.query.out_features, dtype=kind, requires_grad=True)
        output_rows = self.output.bias.to(kind).expand(tokens, -1).contiguous()
        rows = batch.rows
        late = [Late(self.fed.weight, gates, rows)]
        if not self.is_lstm:
            late.append(Late(self.recurrent.weight, self.recurrent.bias.to(kind).expand(tokens, -1).contiguous(), rows))
        late += [Late(self.query.weight, query_rows, rows), Late(self.output.weight, output_rows, rows)]
        values = [weight.value for weight in late]
        score = self.score.to(kind)
        state = first.chunk(2, 1) if self.is_lstm else [first]
        fed = torch.zeros_like(state[0])
        outputs = []
        with torch.autocast("cpu", enabled=False):
            before = len(source)
            for step, now in enumerate(rows):
                if now < before:
                    # Sentences that have ended leave.
                    fed, projected, memory, bias = fed[:now], projected[:now], memory[:now], bias[:now]
                    state = [part[:now] for part in state]
                before = now
                added = [weight.slices[step] for weight in late]
                inputs = [torch.cat([fed, state[0]], 1)] if self.is_lstm else [fed, state[0]]
                fed, *state, both = self.step(*added, *values, fed, *state, projected, memory, bias, score)
                for weight, value in zip(late, inputs + [state[0], both]):
                    weight.inputs.append(value.detach())
                outputs.append(fed)
        self.late = late
        return torch.cat(outputs)

    def finish(self):
        for weight in self.late:
            weight.set_gradient()
        del self.late


class Block(nn.Module):
    """A convolution over `kernel` positions and a gated linear unit, with positions before or around."""

    def __init__(self, size, kernel, before):
        super().__init__()
        self.linear = nn.Linear(kernel * size, 2 * size)
        self.kernel, self.before = kernel, before

    def forward(self, values):
        """(B, L, H) to the same."""
        padded = F.pad(values, (0, 0, self.before, self.kernel - 1 - self.before))
        length = values.shape[1]
        windows = torch.cat([padded[:, i : i + length] for i in range(self.kernel)], 2)
        return F.glu(self.linear(windows), 2)


class Convolutional(nn.Module):
    """Blocks with residual connections on both sides; each of the decoder's attends with a dot product."""

    def __init__(self, work, compiled):
        super().__init__()
        size = work.hidden
        self.source_positions = nn.Parameter(torch.randn(works.MAX_LENGTH, works.EMBEDDING) * 0.1)
        self.target_positions = nn.Parameter(torch.randn(works.MAX_LENGTH, works.EMBEDDING) * 0.1)
        self.source_inputs = nn.Linear(works.EMBEDDING, size, bias=False)
        self.target_inputs = nn.Linear(works.EMBEDDING, size, bias=False)
        encoder, decoder = works.ENCODER_KERNEL, works.DECODER_KERNEL
        self.encoder = nn.ModuleList([Block(size, encoder, encoder // 2) for _ in range(work.layers)])
        self.decoder = nn.ModuleList([Block(size, decoder, decoder - 1) for _ in range(work.layers)])
        self.run = torch.compile(self.both_sides, dynamic=True) if compiled else self.both_sides

    def both_sides(self, source, target, padding):
        real = (~padding)[:, :, None]
        memory = self.source_inputs(source + self.source_positions[: source.shape[1]])
        for block in self.encoder:
            memory = memory + block(memory * real)
        bias = torch.zeros_like(padding, dtype=memory.dtype).masked_fill(padding, -1e9)[:, None]
        hidden = self.target_inputs(target + self.target_positions[: target.shape[1]])
        keys = memory.transpose(1, 2)
        for block in self.decoder:
            # Padding of targets comes last and the convolution looks back, so that it needs no mask.
            query = block(hidden)
            weights = F.softmax(torch.baddbmm(bias, query, keys), 2)
            hidden = hidden + query + torch.bmm(weights, memory)
        return hidden

    def forward(self, source, target, batch):
        """The last hidden vectors (N, H) of embedded words."""
        # From packed to padded, (B, T, E), and back.
        steps = torch.cat([torch.full((rows,), step) for step, rows in enumerate(batch.rows)])
        rows = torch.cat([torch.arange(rows) for rows in batch.rows])
        padded = target.new_zeros(batch.rows[0], len(batch.rows), target.shape[1])
        padded = padded.index_put((rows, steps), target)
        return self.run(source, padded, batch.mask)[rows, steps]

    def finish(self):
        pass


def at_least_f32(values):
    return torch.promote_types(values.dtype, torch.float32)


def probabilities(logits):
    """The logarithms of the sums of exponentials (N) in f32, and the probabilities (N, V) in the logits' type."""
    scores = logits.to(at_least_f32(logits))
    whole = scores.logsumexp(1)
    return whole, torch.exp(scores - whole[:, None]).to(logits.dtype)


def probabilities_in_place(logits):
    """The same without compiling: as few passes as the library's own operations allow."""
    likely = F.log_softmax(logits, 1, dtype=at_least_f32(logits))
    whole = logits[:, 0] - likely[:, 0]
    return whole, likely.exp_().to(logits.dtype)


class OutputLoss(torch.autograd.Function):
    """The sum of the negative log-likelihoods of `labels` (N), from vectors (N, H), the weight (V, H) and the bias (V)."""

    @staticmethod
    def forward(context, vectors, weight, bias, labels, softmax):
        value = weight.to(vectors.dtype)
        logits = torch.addmm(bias.to(vectors.dtype), vectors, value.t())
        whole, gradient = softmax(logits)
        rows = torch.arange(len(labels))
        losses = whole - logits[rows, labels]
        # The sum's gradient by the logits is the probabilities, less one at the labels: in f32, where it is nearly zero.
        gradient[rows, labels] = torch.expm1(-losses).to(gradient.dtype)
        context.kind = weight.dtype
        context.save_for_backward(vectors, value, gradient)
        return losses.sum()

    @staticmethod
    def backward(context, scale):
        vectors, value, gradient = context.saved_tensors
        vectors_gradient = (gradient @ value) * scale.to(value.dtype)
        # The smaller of both factors is scaled.
        weight_gradient = gradient.t() @ (vectors * scale.to(vectors.dtype))
        bias_gradient = gradient.sum(0) * scale
        kind = context.kind
        return vectors_gradient, weight_gradient.to(kind), bias_gradient.to(kind), None, None


class Translator(nn.Module):
    """A whole model: the sum of the losses of a batch. Call `finish` after backward. `loss` is a word of the program's choices."""

    def __init__(self, work, source_size, target_size, compiled, loss):
        super().__init__()
        self.source = nn.Embedding(source_size, works.EMBEDDING)
        self.target = nn.Embedding(target_size, works.EMBEDDING)
        for embedding in (self.source, self.target):
            nn.init.normal_(embedding.weight, std=0.02)
        self.core = Convolutional(work, compiled) if work.cell == "cnn" else Recurrent(work, compiled)
        self.output = nn.Linear(work.hidden, target_size)
        self.loss = loss
        self.softmax = torch.compile(probabilities, dynamic=True) if loss == "fused" else probabilities_in_place

    def forward(self, batch):
        vectors = self.core(self.source(batch.source), self.target(batch.previous), batch)
        if self.loss == "library":
            return F.cross_entropy(self.output(vectors), batch.labels, reduction="sum")
        with torch.autocast("cpu", enabled=False):
            return OutputLoss.apply(vectors, self.output.weight, self.output.bias, batch.labels, self.softmax)

    def finish(self):
        self.core.finish()


class LibraryAdam:
    """The library's clipping, then its Adam."""

    def __init__(self, model, rate=works.LEARNING_RATE):
        self.parameters = list(model.parameters())
        self.adam = torch.optim.Adam(self.parameters, lr=rate, fused=True)

    def step(self):
        nn.utils.clip_grad_value_(self.parameters, works.CLIP)
        self.adam.step()
        self.adam.zero_grad()


BETAS, EPSILON = (0.9, 0.999), 1e-8


@torch.compile(dynamic=True)
def adam(values, gradient, mean, square, rate, root):
    """`rate` and `root` are tensors of one number with the corrections for few steps in them."""
    first, second = BETAS
    gradient = gradient.clamp(-works.CLIP, works.CLIP)
    mean.copy_(first * mean + (1 - first) * gradient)
    square.copy_(second * square + (1 - second) * gradient * gradient)
    values.copy_(values - rate * mean / (square.sqrt() * root + EPSILON))


class OnePassAdam:
    """Clipping and Adam in one compiled pass over each parameter."""

    def __init__(self, model, rate=works.LEARNING_RATE):
        self.parameters = list(model.parameters())
        self.moments = [torch.zeros(2, parameter.numel()) for parameter in self.parameters]
        self.rate = rate
        self.steps = 0

    @torch.no_grad()
    def step(self):
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in BETAS)
        rate, root = torch.tensor(self.rate / first), torch.tensor(second**-0.5)
        for parameter, moments in zip(self.parameters, self.moments):
            gradient = parameter.grad.contiguous().view(-1)
            adam(parameter.view(-1), gradient, moments[0], moments[1], rate, root)
            parameter.grad = None
