"""draft"""
import math, os, sys, time
import torch
from torch import nn
import works
from pytorch_model import Batch, Translator

def main():
    parser = works.arguments("x")
    parser.add_argument("--precision", choices=["f32","bf16"], default="f32")
    parser.add_argument("--products", default="onednn")
    parser.add_argument("--encoder", default="flipped")
    parser.add_argument("--decoder", default="eager")
    parser.add_argument("--loss", default="inplace")
    parser.add_argument("--adam", default="fused")
    parser.add_argument("--profile", action="store_true")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    if o.products == "onednn": torch.set_float32_matmul_precision("medium")
    torch.manual_seed(o.seed)
    corpus = works.Corpus(o.data)
    print(len(corpus.pairs), corpus.source_size, corpus.target_size, corpus.buckets)
    model = Translator(works.WORKS[o.work], corpus.source_size, corpus.target_size, o.encoder, o.decoder, o.loss)
    params = list(model.parameters())
    print(sum(p.numel() for p in params))
    adam = torch.optim.Adam(params, lr=3e-4, fused=o.adam=="fused", foreach=o.adam=="foreach")
    batches = map(Batch, corpus.batches(o.seed))
    w = works.Windows()
    def update():
        b = next(batches)
        with torch.autocast("cpu", torch.bfloat16, enabled=o.precision=="bf16"):
            loss = model(b)
        adam.zero_grad()
        (loss/len(b.source)).backward()
        model.core.finish()
        nn.utils.clip_grad_value_(params, 1.0)
        adam.step()
        w.count(len(b.source), b.source_tokens, len(b.labels), loss.item())
    w.start()
    t=time.time(); c=time.process_time()
    for i in range(o.warm_up or 5): update()
    print("warm", time.time()-t, w.losses/w.counts["target_tokens"], flush=True)
    cpus=[]
    def go():
        for _ in range(o.windows):
            w.start(); c=time.process_time(); 
            for _ in range(o.updates): update()
            cpus.append((time.process_time()-c)/o.updates); w.end()
    if o.profile:
        from torch.profiler import profile, ProfilerActivity
        with profile(activities=[ProfilerActivity.CPU]) as p: go()
        print(p.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))
    else: go()
    print("CPU ms/update", min(cpus)*1e3, "-> sentences/s a core", 64/min(cpus))
    works.finish(w, o, "PyTorch", o.precision, "")
main()
