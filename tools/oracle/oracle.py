#!/usr/bin/env python3
"""Run the reference (diffusers' VQDiffusionPipeline on torch, CPU, float32) on a model folder and dump every stage.

    oracle.py MODEL_DIR OUT_DIR --prompt TEXT [--prompt TEXT ...] [--steps N] [--guidance X] [--truncation X]
              [--images-per-prompt N] [--seed N] [--latents IDS.npy] [--every N] [--tokenizer DIR] [--stack]

Writes the files that docs/numerics.md lists, and margin-SSS float32 [B,N]: how far the winner of each draw is ahead of
the second. --every N keeps every N-th logp and the last. --stack writes the tokens and the margins of all steps S as
tokens.npy int32 [S,B,N] and margin.npy float32 [S,B,N] instead of one file a step. The model's own tokenizer folder is
read where --tokenizer names no other. Prompts: ASCII.

Needs torch, transformers and a diffusers that still has VQDiffusionPipeline (0.8 .. 0.42 at least).
"""
import argparse
import json
import os
import re

import numpy as np
import torch


class Ids(dict):
    __getattr__ = dict.__getitem__


class AsciiClipTokenizer:
    """CLIP's BPE for ASCII text: lower case, white space folded, CLIP's pattern, byte-level BPE with </w>."""

    def __init__(self, folder, max_len):
        def read(name):
            with open(os.path.join(folder, name), encoding="utf8") as f:
                return f.read()

        self.ids = json.loads(read("vocab.json"))
        merges = [tuple(l.split()) for l in read("merges.txt").split("\n")[1:] if l.strip()]
        self.rank = {pair: i for i, pair in enumerate(merges)}
        self.model_max_length = max_len
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        hidden = [b for b in range(256) if b not in shown]
        self.letter = {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}
        special = json.loads(read("special_tokens_map.json"))

        def token(key):
            return self.ids[special[key]["content"] if isinstance(special[key], dict) else special[key]]

        self.bos, self.eos, self.pad = token("bos_token"), token("eos_token"), token("pad_token")

    def bpe(self, word):
        s = [self.letter[b] for b in word.encode()]
        s[-1] += "</w>"
        while len(s) > 1:
            best = min(zip(s, s[1:]), key=lambda q: self.rank.get(q, 1 << 30))
            if best not in self.rank:
                break
            out, i = [], 0
            while i < len(s):
                n = 2 if tuple(s[i : i + 2]) == best else 1
                out.append("".join(s[i : i + n]))
                i += n
            s = out
        return [self.ids[x] for x in s]

    def __call__(self, text, padding=None, max_length=None, truncation=False, return_tensors=None):
        length, rows = max_length or self.model_max_length, []
        for t in [text] if isinstance(text, str) else text:
            t = re.sub(r"\s+", " ", t).strip().lower()
            row = [self.bos]
            for w in re.findall(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+", t):
                row += self.bpe(w)
            row.append(self.eos)
            if truncation and len(row) > length:
                row = row[: length - 1] + [self.eos]
            rows.append(row + [self.pad] * (length - len(row)))
        # The pipeline asks for no truncation and cuts the tensor itself, so rows that are too long must still fit one.
        widest = max(map(len, rows))
        return Ids(input_ids=torch.tensor([r + [self.pad] * (widest - len(r)) for r in rows]))

    def batch_decode(self, x):
        return ["..."]


def load(model_dir, tokenizer_dir):
    from diffusers import Transformer2DModel, VQDiffusionScheduler, VQModel
    from safetensors.torch import load_file
    from transformers import CLIPTextModel

    try:
        from diffusers.pipelines.deprecated.vq_diffusion import pipeline_vq_diffusion as vq
    except ImportError:
        from diffusers.pipelines.vq_diffusion import pipeline_vq_diffusion as vq

    def config(*path):
        with open(os.path.join(model_dir, *path)) as f:
            return {k: v for k, v in json.load(f).items() if not k.startswith("_")}

    def part(cls, folder):  # from_pretrained refuses configs as old as the released ones
        m = cls(**config(folder, "config.json"))
        f = os.path.join(model_dir, folder, "diffusion_pytorch_model.safetensors")
        if os.path.exists(f):
            m.load_state_dict({k: v.float() for k, v in load_file(f).items()})
        return m.float().eval()

    text = CLIPTextModel.from_pretrained(os.path.join(model_dir, "text_encoder")).float().eval()
    null = "learned_classifier_free_sampling_embeddings"
    pipe = vq.VQDiffusionPipeline(
        vqvae=part(VQModel, "vqvae"),
        text_encoder=text,
        tokenizer=None,
        transformer=part(Transformer2DModel, "transformer"),
        scheduler=VQDiffusionScheduler(**config("scheduler", "scheduler_config.json")),
        learned_classifier_free_sampling_embeddings=part(vq.LearnedClassifierFreeSamplingEmbeddings, null),
    )
    pipe.tokenizer = AsciiClipTokenizer(
        tokenizer_dir or os.path.join(model_dir, "tokenizer"), text.config.max_position_embeddings
    )
    return pipe


def arguments():
    a = argparse.ArgumentParser()
    a.add_argument("model")
    a.add_argument("out")
    a.add_argument("--prompt", action="append", required=True)
    a.add_argument("--steps", type=int, default=100)
    a.add_argument("--guidance", type=float, default=5.0)
    a.add_argument("--truncation", type=float, default=1.0)
    a.add_argument("--images-per-prompt", type=int, default=1)
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--latents")
    a.add_argument("--every", type=int, default=1)
    a.add_argument("--tokenizer")
    a.add_argument("--stack", action="store_true")
    return a.parse_args()


def main():
    import diffusers.schedulers.scheduling_vq_diffusion as scheduling

    a = arguments()
    os.makedirs(a.out, exist_ok=True)
    torch.set_grad_enabled(False)
    pipe = load(a.model, a.tokenizer)
    pipe.set_progress_bar_config(disable=True)
    encode, step, noised = pipe._encode_prompt, pipe.scheduler.step, scheduling.gumbel_noised
    done, stacks = [0], {"tokens": [], "margin": []}

    def put(name, value):
        np.save(os.path.join(a.out, name + ".npy"), value)

    def put_step(name, value):
        if a.stack:
            stacks[name].append(value)
        else:
            put("%s-%03d" % (name, done[0]), value)

    def encode_and_dump(*args, **kw):
        e = encode(*args, **kw)
        half = e.shape[0] // 2 if a.guidance > 1 else 0
        if half:
            put("negative_states", e[:half].float().numpy())
        put("text_states", e[half:].float().numpy())
        return e

    def noised_and_dump(logits, generator):
        v = noised(logits, generator)
        best = v.topk(2, dim=1).values
        put_step("margin", (best[:, 0] - best[:, 1]).numpy())
        return v

    def step_and_dump(logp, timestep=None, sample=None, **kw):
        if done[0] % a.every == 0 or done[0] == a.steps - 1:
            put("logp-%03d" % done[0], logp.numpy())
        r = step(logp, timestep=timestep, sample=sample, **kw)
        put_step("tokens", r.prev_sample.numpy().astype(np.int32))
        done[0] += 1
        return r

    put("input_ids", pipe.tokenizer(a.prompt).input_ids[:, : pipe.tokenizer.model_max_length].numpy().astype(np.int32))
    scheduling.gumbel_noised = noised_and_dump
    pipe._encode_prompt, pipe.scheduler.step = encode_and_dump, step_and_dump
    image = pipe(
        a.prompt,
        num_inference_steps=a.steps,
        guidance_scale=a.guidance,
        truncation_rate=a.truncation,
        num_images_per_prompt=a.images_per_prompt,
        generator=torch.Generator("cpu").manual_seed(a.seed),
        latents=torch.from_numpy(np.load(a.latents)).long() if a.latents else None,
        output_type="np",
    ).images
    put("image", np.asarray(image, dtype=np.float32))
    for name, steps in stacks.items():
        if steps:
            put(name, np.stack(steps))
    print("steps", done[0], "image", image.shape)


if __name__ == "__main__":
    main()
