#!/usr/bin/env python3
"""Write a VQ-Diffusion model folder (Hugging Face diffusers layout) with reproducible made-up weights.

    make_model.py SPEC.json OUT_DIR [--dtype f32|f16] [--tokenizer DIR]

SPEC.json holds the configs of a model's parts ("transformer", "vqvae", "scheduler" and, where it draws from a text,
"text_encoder" and "learned_classifier_free_sampling_embeddings"), a "seed" and perhaps a "dtype". A transformer with the keys
block_type, mlp_type, spatial_size and num_classes is one of microsoft/VQ-Diffusion's that diffusers lacks. Needs numpy alone: every tensor is drawn from a
generator keyed by (seed, tensor name), so the same spec gives the same values everywhere, but for a last-bit
difference in rare draws between numpy versions: compare numbers, not hashes.
"""
import argparse
import hashlib
import json
import os
import shutil
import struct

import numpy as np

WEIGHTS = "diffusion_pytorch_model.safetensors"


def transformer_shapes(c):
    d = c["num_attention_heads"] * c["attention_head_dim"]
    kind, rows, columns = c.get("block_type", "selfcross"), *c.get("spatial_size", [c["sample_size"]] * 2)
    s = {
        "latent_image_embedding.emb.weight": (c["num_vector_embeds"], d),
        "latent_image_embedding.height_emb.weight": (rows, d),
        "latent_image_embedding.width_emb.weight": (columns, d),
    }
    for i in range(c["num_layers"]):
        b = f"transformer_blocks.{i}."
        norms = [("norm1", c["num_embeds_ada_norm"])]
        if kind == "selfcross":
            norms.append(("norm2", c["num_embeds_ada_norm"]))
        if kind == "selfcondition":
            norms.append(("norm3", c["num_classes"] + c.get("null_class_learned", True)))
        for n, entries in norms:
            s[b + n + ".emb.weight"] = (entries, d)
            s[b + n + ".linear.weight"] = (2 * d, d)
            s[b + n + ".linear.bias"] = (2 * d,)
        for n, keys in (("attn1", d), ("attn2", c.get("cross_attention_dim")))[: 2 if kind == "selfcross" else 1]:
            for p, width in (("to_q", d), ("to_k", keys), ("to_v", keys), ("to_out.0", d)):
                s[b + n + f".{p}.weight"] = (d, width)
                if c["attention_bias"] or p == "to_out.0":
                    s[b + n + f".{p}.bias"] = (d,)
        if kind != "selfcondition":
            s[b + "norm3.weight"] = s[b + "norm3.bias"] = (d,)
        if c.get("mlp_type") == "conv_mlp":
            s[b + "ff.conv1.weight"], s[b + "ff.conv1.bias"] = (4 * d, d, 3, 3), (4 * d,)
            s[b + "ff.conv2.weight"], s[b + "ff.conv2.bias"] = (d, 4 * d, 3, 3), (d,)
        else:
            s[b + "ff.net.0.proj.weight"], s[b + "ff.net.0.proj.bias"] = (4 * d, d), (4 * d,)
            s[b + "ff.net.2.weight"], s[b + "ff.net.2.bias"] = (d, 4 * d), (d,)
    s["norm_out.weight"] = s["norm_out.bias"] = (d,)
    s["out.weight"], s["out.bias"] = (c["num_vector_embeds"] - 1, d), (c["num_vector_embeds"] - 1,)
    return s


def text_shapes(c):
    d, f = c["hidden_size"], c["intermediate_size"]
    s = {
        "text_model.embeddings.token_embedding.weight": (c["vocab_size"], d),
        "text_model.embeddings.position_embedding.weight": (c["max_position_embeddings"], d),
        "text_model.final_layer_norm.weight": (d,),
        "text_model.final_layer_norm.bias": (d,),
    }
    for i in range(c["num_hidden_layers"]):
        b = f"text_model.encoder.layers.{i}."
        for p in ("k_proj", "v_proj", "q_proj", "out_proj"):
            s[b + f"self_attn.{p}.weight"], s[b + f"self_attn.{p}.bias"] = (d, d), (d,)
        for n in ("layer_norm1", "layer_norm2"):
            s[b + n + ".weight"] = s[b + n + ".bias"] = (d,)
        s[b + "mlp.fc1.weight"], s[b + "mlp.fc1.bias"] = (f, d), (f,)
        s[b + "mlp.fc2.weight"], s[b + "mlp.fc2.bias"] = (d, f), (d,)
    return s


def vq_shapes(c):
    s = {}
    channels, layers, latent = c["block_out_channels"], c["layers_per_block"], c["latent_channels"]
    embed = c["vq_embed_dim"] or latent

    def conv(name, o, i, k):
        s[name + ".weight"], s[name + ".bias"] = (o, i, k, k), (o,)

    def norm(name, k):
        s[name + ".weight"] = s[name + ".bias"] = (k,)

    def resnet(name, i, o):
        norm(name + ".norm1", i)
        conv(name + ".conv1", o, i, 3)
        norm(name + ".norm2", o)
        conv(name + ".conv2", o, o, 3)
        if i != o:
            conv(name + ".conv_shortcut", o, i, 1)

    def attention(name, k):
        norm(name + ".group_norm", k)
        for p in ("to_q", "to_k", "to_v", "to_out.0"):
            s[name + f".{p}.weight"], s[name + f".{p}.bias"] = (k, k), (k,)

    def mid(name, k):
        resnet(name + ".resnets.0", k, k)
        attention(name + ".attentions.0", k)
        resnet(name + ".resnets.1", k, k)

    def blocks(name, types, outs, n, sampler, i):
        for b, (kind, o) in enumerate(zip(types, outs)):
            for l in range(n):
                resnet(f"{name}.{b}.resnets.{l}", i, o)
                i = o
                if kind.startswith("Attn"):
                    attention(f"{name}.{b}.attentions.{l}", o)
            if b < len(outs) - 1:
                conv(f"{name}.{b}.{sampler}.0.conv", o, o, 3)
        return i

    conv("encoder.conv_in", channels[0], c["in_channels"], 3)
    last = blocks("encoder.down_blocks", c["down_block_types"], channels, layers, "downsamplers", channels[0])
    mid("encoder.mid_block", last)
    norm("encoder.conv_norm_out", last)
    conv("encoder.conv_out", latent, last, 3)
    conv("quant_conv", embed, latent, 1)
    s["quantize.embedding.weight"] = (c["num_vq_embeddings"], embed)
    conv("post_quant_conv", latent, embed, 1)
    conv("decoder.conv_in", channels[-1], latent, 3)
    mid("decoder.mid_block", channels[-1])
    last = blocks("decoder.up_blocks", c["up_block_types"], channels[::-1], layers + 1, "upsamplers", channels[-1])
    norm("decoder.conv_norm_out", last)
    conv("decoder.conv_out", c["out_channels"], last, 3)
    return s


def draw(seed, name, shape):
    key = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little")
    n = np.random.Generator(np.random.PCG64(key)).standard_normal(shape, dtype=np.float32)
    if name.endswith("bias"):
        return n * np.float32(0.02)
    if "norm" in name and len(shape) == 1:
        return 1 + n * np.float32(0.1)
    if "emb" in name and "linear" not in name:
        return n * np.float32(0.6)
    return n * np.float32(1.0 / np.sqrt(np.prod(shape[1:])))


def save_safetensors(path, tensors):
    """8-byte little-endian header length, JSON header, data."""
    code = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16"}
    head, at = {}, 0
    for k in sorted(tensors):
        v = tensors[k]
        head[k] = {"dtype": code[v.dtype], "shape": list(v.shape), "data_offsets": [at, at + v.nbytes]}
        at += v.nbytes
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)))
        f.write(text)
        for k in sorted(tensors):
            f.write(np.ascontiguousarray(tensors[k]).tobytes())


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("spec")
    a.add_argument("out")
    a.add_argument("--dtype", choices=["f32", "f16"], help="default: the spec's, else f32")
    a.add_argument("--tokenizer")
    a = a.parse_args()
    with open(a.spec) as f:
        spec = json.load(f)
    dtype = {"f32": np.float32, "f16": np.float16}[a.dtype or spec.get("dtype", "f32")]

    def part(folder, head, weights, shapes, config_name="config.json"):
        if folder not in spec:
            return
        d = os.path.join(a.out, folder)
        os.makedirs(d, exist_ok=True)
        write_json(os.path.join(d, config_name), {**head, **spec[folder]})
        if shapes:
            drawn = {k: draw(spec["seed"], folder + "." + k, v).astype(dtype) for k, v in shapes.items()}
            save_safetensors(os.path.join(d, weights), drawn)

    def diffusers(name):
        return {"_class_name": name, "_diffusers_version": "0.20.0"}

    def shapes(folder, of):
        return of(spec[folder]) if folder in spec else None

    def null_shapes(c):
        return {"embeddings": (c["length"], c["hidden_size"])} if c["learnable"] else None

    null = "learned_classifier_free_sampling_embeddings"
    part("transformer", diffusers("Transformer2DModel"), WEIGHTS, shapes("transformer", transformer_shapes))
    part("vqvae", diffusers("VQModel"), WEIGHTS, shapes("vqvae", vq_shapes))
    part("text_encoder", {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model"}, "model.safetensors",
         shapes("text_encoder", text_shapes))
    part("scheduler", diffusers("VQDiffusionScheduler"), None, None, "scheduler_config.json")
    part(null, diffusers("LearnedClassifierFreeSamplingEmbeddings"), WEIGHTS, shapes(null, null_shapes))
    if "text_encoder" in spec:
        write_json(os.path.join(a.out, "model_index.json"), {
            **diffusers("VQDiffusionPipeline"),
            null: ["vq_diffusion", "LearnedClassifierFreeSamplingEmbeddings"],
            "scheduler": ["diffusers", "VQDiffusionScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "transformer": ["diffusers", "Transformer2DModel"],
            "vqvae": ["diffusers", "VQModel"],
        })
    if a.tokenizer:
        shutil.copytree(a.tokenizer, os.path.join(a.out, "tokenizer"), dirs_exist_ok=True)


if __name__ == "__main__":
    main()
