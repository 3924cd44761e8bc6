#!/usr/bin/env python3
"""Write a model folder as a checkpoint of microsoft/VQ-Diffusion: the same values under that program's names.

    make_original.py MODEL_DIR OUT.pth [--codes N] [--codec OUT_VQ.pth] [--codec-kind ema|vqgan|gumbel|ffhq]
                     [--decoder-only] [--float32] [--seed N]

MODEL_DIR has diffusers' layout (make_model.py). OUT.pth is what that program's training writes: `model` with everything, `ema` with the
transformer alone, and an optimizer's state. Some of the transformer's weights in `model` are wrong on purpose: a reader must take
`ema`.
--codes N gives the VQ-VAE N codes, of which the model uses its own number, and writes the map taming_vqvae_K.pt beside OUT.pth as the
original has it: for each of the N codes which of the K it became. --codec puts the VQ-VAE into a file of its own; --codec-kind says which of the four it is;
--decoder-only leaves out its encoder. --float32 widens what is float16 in MODEL_DIR, as released checkpoints are. Needs torch.
"""
import argparse
import json
import os
import re
import struct

import numpy as np
import torch

# (ours, theirs): # is a number, ~ one counted from the end, * the rest
TRANSFORMER = [
    ("latent_image_embedding.*", "transformer.content_emb.*"),
    ("norm_out.*", "transformer.to_logits.0.*"),
    ("out.*", "transformer.to_logits.1.*"),
    ("transformer_blocks.#.norm1.*", "transformer.blocks.#.ln1.*"),
    ("transformer_blocks.#.norm2.*", "transformer.blocks.#.ln1_1.*"),
    ("transformer_blocks.#.norm3.*", "transformer.blocks.#.ln2.*"),
    ("transformer_blocks.#.ff.net.0.proj.*", "transformer.blocks.#.mlp.0.*"),
    ("transformer_blocks.#.ff.net.2.*", "transformer.blocks.#.mlp.2.*"),
    ("transformer_blocks.#.ff.conv1.*", "transformer.blocks.#.mlp.conv1.*"),
    ("transformer_blocks.#.ff.conv2.*", "transformer.blocks.#.mlp.conv2.*"),
    ("transformer_blocks.#.attn1.to_q.*", "transformer.blocks.#.attn1.query.*"),
    ("transformer_blocks.#.attn1.to_k.*", "transformer.blocks.#.attn1.key.*"),
    ("transformer_blocks.#.attn1.to_v.*", "transformer.blocks.#.attn1.value.*"),
    ("transformer_blocks.#.attn1.to_out.0.*", "transformer.blocks.#.attn1.proj.*"),
    ("transformer_blocks.#.attn2.to_q.*", "transformer.blocks.#.attn2.query.*"),
    ("transformer_blocks.#.attn2.to_k.*", "transformer.blocks.#.attn2.key.*"),
    ("transformer_blocks.#.attn2.to_v.*", "transformer.blocks.#.attn2.value.*"),
    ("transformer_blocks.#.attn2.to_out.0.*", "transformer.blocks.#.attn2.proj.*"),
]
TEXT = [
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm.*", "ln_final.*"),
    ("text_model.encoder.layers.#.layer_norm1.*", "transformer.resblocks.#.ln_1.*"),
    ("text_model.encoder.layers.#.layer_norm2.*", "transformer.resblocks.#.ln_2.*"),
    ("text_model.encoder.layers.#.self_attn.out_proj.*", "transformer.resblocks.#.attn.out_proj.*"),
    ("text_model.encoder.layers.#.mlp.fc1.*", "transformer.resblocks.#.mlp.c_fc.*"),
    ("text_model.encoder.layers.#.mlp.fc2.*", "transformer.resblocks.#.mlp.c_proj.*"),
]
CODEC = [
    ("?.mid_block.attentions.0.group_norm.*", "?.mid.attn_1.norm.*"),
    ("?.mid_block.attentions.0.to_q.*", "?.mid.attn_1.q.*"),
    ("?.mid_block.attentions.0.to_k.*", "?.mid.attn_1.k.*"),
    ("?.mid_block.attentions.0.to_v.*", "?.mid.attn_1.v.*"),
    ("?.mid_block.attentions.0.to_out.0.*", "?.mid.attn_1.proj_out.*"),
    ("?.mid_block.resnets.0.*", "?.mid.block_1.*"),
    ("?.mid_block.resnets.1.*", "?.mid.block_2.*"),
    ("?.conv_norm_out.*", "?.norm_out.*"),
    ("encoder.down_blocks.#.resnets.#.*", "encoder.down.#.block.#.*"),
    ("encoder.down_blocks.#.downsamplers.0.*", "encoder.down.#.downsample.*"),
    ("encoder.down_blocks.#.attentions.#.group_norm.*", "encoder.down.#.attn.#.norm.*"),
    ("encoder.down_blocks.#.attentions.#.to_q.*", "encoder.down.#.attn.#.q.*"),
    ("encoder.down_blocks.#.attentions.#.to_k.*", "encoder.down.#.attn.#.k.*"),
    ("encoder.down_blocks.#.attentions.#.to_v.*", "encoder.down.#.attn.#.v.*"),
    ("encoder.down_blocks.#.attentions.#.to_out.0.*", "encoder.down.#.attn.#.proj_out.*"),
    ("decoder.up_blocks.#.resnets.#.*", "decoder.up.~.block.#.*"),
    ("decoder.up_blocks.#.upsamplers.0.*", "decoder.up.~.upsample.*"),
    ("decoder.up_blocks.#.attentions.#.group_norm.*", "decoder.up.~.attn.#.norm.*"),
    ("decoder.up_blocks.#.attentions.#.to_q.*", "decoder.up.~.attn.#.q.*"),
    ("decoder.up_blocks.#.attentions.#.to_k.*", "decoder.up.~.attn.#.k.*"),
    ("decoder.up_blocks.#.attentions.#.to_v.*", "decoder.up.~.attn.#.v.*"),
    ("decoder.up_blocks.#.attentions.#.to_out.0.*", "decoder.up.~.attn.#.proj_out.*"),
]


def rename(table, name, levels=0):
    for ours, theirs in table:
        pattern = re.escape(ours).replace(r"\#", r"(\d+)").replace(r"\*", r"(.*)").replace(r"\?", r"(encoder|decoder)")
        m = re.fullmatch(pattern, name)
        if m:
            parts = iter(m.groups())
            return re.sub(r"[#~*?]", lambda c: str(levels - 1 - int(next(parts))) if c[0] == "~" else next(parts),
                          theirs)
    return name


def load(folder):
    """The tensors of a folder's one .safetensors file, {} where it has none."""
    names = [n for n in sorted(os.listdir(folder)) if n.endswith(".safetensors")] if os.path.isdir(folder) else []
    if not names:
        return {}
    kind = {"F32": np.float32, "F16": np.float16}
    data = np.memmap(os.path.join(folder, names[0]), mode="r")
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(bytes(data[8 : 8 + n]))
    out = {}
    for k, v in head.items():
        a, b = v["data_offsets"]
        out[k] = torch.from_numpy(np.array(data[8 + n + a : 8 + n + b]).view(kind[v["dtype"]]).reshape(v["shape"]))
    return out


def transformer_part(folder):
    with open(os.path.join(folder, "transformer", "config.json")) as f:
        config = json.load(f)
    alone = config.get("block_type", "selfcross") != "selfcross"
    out = {}
    for k, v in load(os.path.join(folder, "transformer")).items():
        k = rename(TRANSFORMER, k)
        out[k.replace(".attn1.", ".attn.") if alone else k] = v
    return out


def text_part(folder):
    tensors, out = load(os.path.join(folder, "text_encoder")), {}
    for k, v in tensors.items():
        m = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)", k)
        if m:
            three = [tensors[k.replace("q_proj", p)] for p in ("q_proj", "k_proj", "v_proj")]
            out[f"transformer.resblocks.{m[1]}.attn.in_proj_{m[2]}"] = torch.cat(three)
        elif not re.search(r"\.[kv]_proj\.", k):
            out[rename(TEXT, k)] = v
    if out:
        out["text_projection"] = torch.zeros(1, 1).half()
    return {"condition_emb." + k: v for k, v in out.items()}


def codec_part(folder, codes, rng):
    """The VQ-VAE's tensors, its codebook under "codebook", and the map or None."""
    tensors, out, mapping = load(os.path.join(folder, "vqvae")), {}, None
    levels = 1 + max(int(m[1]) for m in map(re.compile(r"decoder\.up_blocks\.(\d+)\.").match, tensors) if m)
    for k, v in tensors.items():
        name = rename(CODEC, k, levels).replace("conv_shortcut", "nin_shortcut")
        attention = re.search(r"\.(q|k|v|proj_out)\.weight$", name)
        out[name] = v[:, :, None, None].clone() if attention else v
    book = out.pop("quantize.embedding.weight")
    if codes:
        used = book.shape[0]
        mapping = np.concatenate([rng.permutation(used), rng.integers(0, used, codes - used)])
        mapping = rng.permutation(mapping).astype(np.int64)
        full = torch.from_numpy(rng.standard_normal((codes, book.shape[1])).astype(np.float32)).to(book.dtype)
        for k in range(used):
            full[np.flatnonzero(mapping == k)[0]] = book[k]
        book, mapping = full, torch.from_numpy(mapping)
    out["codebook"] = book
    return out, mapping


def name_codebook(codec, kind):
    out = {k: v for k, v in codec.items() if k != "codebook"}
    book = codec["codebook"]
    if kind == "ema":
        out |= {"quantize.embedding": book, "quantize.cluster_size": book[:, 0].clone(), "quantize.embedding_avg": book}
    elif kind == "gumbel":
        out |= {"quantize.embed.weight": book, "quantize.proj.weight": book[:, :1, None, None].clone()}
    else:
        out["quantize.embedding.weight"] = book
    return out


def save_codec(path, tensors, kind):
    if kind == "ema":
        torch.save({"model": tensors, "iteration": 1}, path)
        return
    prefix = "first_stage_model." if kind == "ffhq" else ""
    extra = {"transformer.tok_emb.weight": torch.zeros(1, 1)} if kind == "ffhq" else {}
    torch.save({"epoch": 3, "global_step": 7, "state_dict": {prefix + k: v for k, v in tensors.items()} | extra}, path)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("model")
    a.add_argument("out")
    a.add_argument("--codes", type=int, default=0)
    a.add_argument("--codec")
    a.add_argument("--codec-kind", choices=["ema", "vqgan", "gumbel", "ffhq"], default="ema")
    a.add_argument("--decoder-only", action="store_true")
    a.add_argument("--float32", action="store_true")
    a.add_argument("--seed", type=int, default=0)
    a = a.parse_args()
    rng = np.random.Generator(np.random.PCG64(a.seed))
    ema = transformer_part(a.model) | text_part(a.model)
    for v in load(os.path.join(a.model, "learned_classifier_free_sampling_embeddings")).values():
        ema["empty_text_embed"] = v.double()
    if a.float32:
        ema = {k: v.float() if v.dtype == torch.float16 else v for k, v in ema.items()}
    steps = torch.zeros(next(v.shape[0] for k, v in ema.items() if k.endswith("blocks.0.ln1.emb.weight")))
    ema |= {"log_at": steps, "Lt_history": steps, "Lt_count": steps}
    wrong = ("transformer.content_emb.", "transformer.to_logits.")
    model = {"transformer." + k: torch.zeros_like(v) if k.startswith(wrong) else v for k, v in ema.items()}
    codec, mapping = codec_part(a.model, a.codes, rng)
    codec = name_codebook(codec, a.codec_kind)
    if a.float32:
        codec = {k: v.float() for k, v in codec.items()}
    if a.decoder_only:
        codec = {k: v for k, v in codec.items() if not k.startswith(("encoder.", "quant_conv."))}
    if a.codec:
        save_codec(a.codec, codec, a.codec_kind)
    else:
        for k, v in codec.items():
            if not k.startswith(("decoder.", "post_quant_conv.")):
                model["content_codec.enc." + k] = v
            if not k.startswith(("encoder.", "quant_conv.")):
                model["content_codec.dec." + k] = v
    optimizer = {"none": {"module": {"state": {0: {"step": 5, "exp_avg": steps}},
                                     "param_groups": [{"lr": 1e-6, "betas": (0.9, 0.96), "params": [0]}]}}}
    torch.save({"last_epoch": 4, "last_iter": 9, "model": model, "ema": ema, "optimizer_and_scheduler": optimizer}, a.out)
    if mapping is not None:
        torch.save(mapping, os.path.join(os.path.dirname(a.out), "taming_vqvae_%d.pt" % len(set(mapping.tolist()))))


if __name__ == "__main__":
    main()
