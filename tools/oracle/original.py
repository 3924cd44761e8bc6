#!/usr/bin/env python3
"""Run microsoft/VQ-Diffusion's own modules (torch, CPU, float32) on a checkpoint and dump every stage, as oracle.py does.

    original.py CHECKOUT CHECKPOINT.pth OUT_DIR --model FOLDER [--codec VQ.pth] [--map MAP.pt] [--codec-kind vqgan|gumbel]
                [--prompt TEXT] [--tokenizer DIR] [--guidance X] [--truncation X] [--seed N] [--every N]

CHECKOUT is a clone of that repository at d1d3948, of which nothing is kept here. FOLDER is the model in diffusers' layout
(make_model.py) from which make_original.py wrote CHECKPOINT.pth; its configs alone are read: the program itself takes them from YAML
files. The whole path is the program's: sampling loop, guidance, truncation, codes mapped back, decoder. Taken away are its .cuda(), its
float16 weights in CLIP (the text tower runs in float32), and the 32 groups of its norms where the model has others. One picture a run:
the original draws one more class at the last step than the files of docs/numerics.md say, which changes nothing for one picture.
--prompt is a class for a model with classes; leave it out for one without condition. Needs torch, einops, numpy.
"""
import argparse
import json
import os
import sys
import types

import numpy as np
import torch

from oracle import AsciiClipTokenizer


def stub(name, **content):
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    for k, v in content.items():
        setattr(sys.modules[name], k, v)
    for i in range(1, len(parts)):
        setattr(sys.modules[".".join(parts[:i])], parts[i], sys.modules[".".join(parts[: i + 1])])


class Anything:
    def __init__(self, *args, **kw):
        pass


def prepare(checkout):
    """Imports from the checkout without what inference does not need."""
    sys.path.insert(0, checkout)
    for name, content in {
        "omegaconf": {"OmegaConf": Anything},
        "pytorch_lightning": {"LightningModule": torch.nn.Module},
        "torchvision.transforms.functional": {},
        "torchvision.transforms": {k: Anything for k in ("Compose", "Resize", "CenterCrop", "ToTensor", "Normalize")},
        "image_synthesis.modeling.modules.clip.clip": {"tokenize": None, "load": None},
        "image_synthesis.taming.models.cond_transformer": {"Net2NetTransformer": Anything},
    }.items():
        try:
            __import__(name.split(".")[0])
        except ImportError:
            pass
        if name.startswith("image_synthesis"):
            package, leaf = name.rsplit(".", 1)
            module = types.ModuleType(name)
            module.__dict__.update(content)
            sys.modules[name] = module
            setattr(__import__(package, fromlist=["x"]), leaf, module)
        elif name.split(".")[0] not in sys.modules or not hasattr(sys.modules[name.split(".")[0]], "__file__"):
            stub(name, **content)
    torch.Tensor.cuda = lambda self, *a, **k: self


def config(folder, part, name="config.json"):
    with open(os.path.join(folder, part, name)) as f:
        return json.load(f)


def build_codec(a, transformer):
    from image_synthesis.modeling.codecs.image_codec import taming_gumbel_vqvae as codecs
    from image_synthesis.taming.models.vqgan import GumbelVQ, VQModel
    from image_synthesis.taming.modules.diffusionmodules import model as diffusion

    c, side = config(a.model, "vqvae"), transformer["sample_size"]
    groups = c["norm_num_groups"]
    diffusion.Normalize = lambda n, *args, **kw: torch.nn.GroupNorm(groups, n, eps=1e-6, affine=True)
    levels, ch = len(c["block_out_channels"]), c["block_out_channels"][0]
    dd = {"double_z": False, "z_channels": c["latent_channels"], "resolution": side * 2 ** (levels - 1), "in_channels": 3,
          "out_ch": 3, "ch": ch, "ch_mult": [n / ch for n in c["block_out_channels"]], "num_res_blocks": c["layers_per_block"],
          "attn_resolutions": [side] if c["up_block_types"][0].startswith("Attn") else [], "dropout": 0.0}
    dd["ch_mult"] = [int(m) if m == int(m) else m for m in dd["ch_mult"]]
    checkpoint = torch.load(a.checkpoint, weights_only=True)["model"]
    if a.codec:
        sd = torch.load(a.codec, weights_only=True)
        sd = sd.get("state_dict", sd.get("model"))
        sd = {k.removeprefix("first_stage_model."): v for k, v in sd.items()}
    else:
        sd = {k.split(".", 2)[2]: v for k, v in checkpoint.items() if k.startswith("content_codec.")}
    book = next(v for k, v in sd.items() if k in ("quantize.embedding.weight", "quantize.embed.weight"))
    nothing = {"target": "original.Anything"}
    kind, more = (GumbelVQ, {"temperature_scheduler_config": nothing}) if a.codec_kind == "gumbel" else (VQModel, {})

    class Codec(codecs.TamingVQVAE):
        def LoadModel(self, config_path, ckpt_path):
            m = kind(ddconfig=dd, lossconfig=nothing, n_embed=book.shape[0], embed_dim=c["vq_embed_dim"], **more)
            mine = {k: v.float() for k, v in sd.items() if "quantize.proj" not in k}
            missing = m.load_state_dict(mine, strict=False).missing_keys
            assert not [k for k in missing if not k.startswith(("quantize.proj", "encoder.", "quant_conv."))], missing
            return m

    return Codec(token_shape=[side, side], num_tokens=book.shape[0], quantize_number=c["num_vq_embeddings"] if a.map else 0,
                 mapping_path=a.map)


def build_text(folder, width):
    """Their text embedding, with the tower in float32 and no picture tower loaded from a file."""
    from image_synthesis.modeling.embeddings.clip_text_embedding import CLIPTextEmbedding
    from image_synthesis.modeling.modules.clip import model as clip

    t = config(folder, "text_encoder")
    tower = clip.CLIP(1, 32, 1, 64, 32, t["max_position_embeddings"], t["vocab_size"], width, width // 64, t["num_hidden_layers"])
    e = CLIPTextEmbedding.__new__(CLIPTextEmbedding)
    torch.nn.Module.__init__(e)
    for k in ("token_embedding", "positional_embedding", "transformer", "ln_final", "text_projection"):
        setattr(e, k, getattr(tower, k))
    e.normalize, e.pick_last_embedding, e.keep_seq_len_dim, e.additional_last_embedding = True, False, False, False
    e.embed_dim, e.trainable = width, False
    return e


def build(a):
    """Their DiffusionTransformer and the model around it."""
    from image_synthesis.modeling.models.conditional_dalle import C_DALLE
    from image_synthesis.modeling.models.dalle import DALLE
    from image_synthesis.modeling.models.unconditional_dalle import UC_DALLE
    from image_synthesis.modeling.transformers.diffusion_transformer import DiffusionTransformer

    t = config(a.model, "transformer")
    kind = t.get("block_type", "selfcross")
    side, width = t["sample_size"], t["num_attention_heads"] * t["attention_head_dim"]
    net = {"n_layer": t["num_layers"], "n_embd": width, "n_head": t["num_attention_heads"], "content_seq_len": side * side,
           "content_spatial_size": [side, side], "block_activate": "GELU2", "attn_type": kind, "timestep_type": "adalayernorm",
           "mlp_hidden_times": 4, "mlp_type": t.get("mlp_type", "fc")}
    base = "image_synthesis.modeling.transformers.transformer_utils."
    condition = None
    if kind == "selfcross":
        net |= {"condition_seq_len": 77, "condition_dim": t["cross_attention_dim"]}
        condition = {"target": "image_synthesis.modeling.embeddings.class_embedding.ClassEmbedding",
                     "params": {"embed_dim": t["cross_attention_dim"], "identity": True}}
    elif kind == "selfcondition":
        rows = t["num_classes"] + t.get("null_class_learned", True)
        net |= {"class_type": "adalayernorm", "class_number": rows}
        condition = {"target": "image_synthesis.modeling.embeddings.class_embedding.ClassEmbedding",
                     "params": {"num_embed": rows, "embed_dim": width, "identity": True}}
    names = {"selfcross": "Text2ImageTransformer", "selfcondition": "Condition2ImageTransformer",
             "self": "UnCondition2ImageTransformer"}
    diffusion = DiffusionTransformer(
        content_emb_config={"target": "image_synthesis.modeling.embeddings.dalle_mask_image_embedding.DalleMaskImageEmbedding",
                            "params": {"num_embed": t["num_vector_embeds"] - 1, "embed_dim": width,
                                       "spatial_size": t.get("spatial_size", [side, side])}},
        condition_emb_config=condition, transformer_config={"target": base + names[kind], "params": net},
        diffusion_step=t["num_embeds_ada_norm"], alpha_init_type="alpha1")
    if kind == "selfcross":
        diffusion.condition_emb = build_text(a.model, t["cross_attention_dim"])
        diffusion.learnable_cf = True
        diffusion.empty_text_embed = torch.nn.Parameter(torch.zeros(77, t["cross_attention_dim"], dtype=torch.float64))
    ema = torch.load(a.checkpoint, weights_only=True)["ema"]
    state = diffusion.state_dict()
    left = {k: v.to(state[k].dtype) for k, v in ema.items() if k in state and k not in ("log_at", "condition_emb.text_projection")}
    r = diffusion.load_state_dict(left, strict=False)
    lacking = [k for k in r.missing_keys if not k.startswith(("log_", "Lt_")) and "text_projection" not in k
               and not k.endswith(".mask")]
    assert not lacking and not r.unexpected_keys, (lacking, r.unexpected_keys)
    model = {"selfcross": DALLE, "selfcondition": C_DALLE, "self": UC_DALLE}[kind]
    whole = model.__new__(model)
    torch.nn.Module.__init__(whole)
    whole.content_info, whole.guidance_scale, whole.truncation_forward = {"key": "image"}, a.guidance, False
    whole.condition_info = {"key": "text" if kind == "selfcross" else "label"}
    whole.learnable_cf = kind == "selfcross"
    whole.transformer, whole.content_codec = diffusion, build_codec(a, t)
    whole.eval()
    whole.train = lambda *args: whole
    return whole, kind


def main():
    a = argparse.ArgumentParser()
    a.add_argument("checkout")
    a.add_argument("checkpoint")
    a.add_argument("out")
    a.add_argument("--model", required=True)
    a.add_argument("--codec")
    a.add_argument("--codec-kind", choices=["vqgan", "gumbel"], default="vqgan")
    a.add_argument("--map")
    a.add_argument("--prompt")
    a.add_argument("--tokenizer")
    a.add_argument("--guidance", type=float, default=1.0)
    a.add_argument("--truncation", type=float, default=1.0)
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--every", type=int, default=1)
    a = a.parse_args()
    sys.modules["original"] = sys.modules["__main__"]
    prepare(a.checkout)
    torch.set_grad_enabled(False)
    os.makedirs(a.out, exist_ok=True)
    model, kind = build(a)
    net = model.transformer
    steps, tokens, margins = net.num_timesteps, [], []

    def put(name, value):
        np.save(os.path.join(a.out, name + ".npy"), value)

    batch = {"image": None}
    if kind == "selfcross":
        tokenizer = AsciiClipTokenizer(a.tokenizer, 77)
        ids = tokenizer([a.prompt]).input_ids
        batch["text"] = [a.prompt]
        model.condition_codec = types.SimpleNamespace(get_tokens=lambda text: {"token": ids.clone()})
        put("text_states", net.condition_emb(ids.clone()).float().numpy())
        if a.guidance > 1:
            put("negative_states", net.empty_text_embed.float().unsqueeze(0).numpy())
    elif kind == "selfcondition":
        ids = torch.tensor([[int(a.prompt)]])
        batch["label"] = [int(a.prompt)]
    if kind != "self":
        put("input_ids", ids.numpy().astype(np.int32))

    predict, draw, start = net.q_posterior, net.log_sample_categorical, net.predict_start

    def start_without_class(log_x_t, cond, t):
        """The program's number for no class is 1000; a model of fewer that learned a row for it has that last."""
        return start(log_x_t, torch.where(cond == 1000, rows - 1, cond), t)

    rows = config(a.model, "transformer").get("num_classes", 0) + 1
    if kind == "selfcondition" and config(a.model, "transformer").get("null_class_learned", True):
        net.predict_start = start_without_class

    def posterior_and_dump(log_x_start, log_x_t, t):
        i = len(tokens)
        if i % a.every == 0 or i == steps - 1:
            put("logp-%03d" % i, log_x_start[:, :-1].numpy())
        return predict(log_x_start=log_x_start, log_x_t=log_x_t, t=t)

    def draw_and_dump(logits):
        state = torch.get_rng_state()
        g = -torch.log(-torch.log(torch.rand_like(logits) + 1e-30) + 1e-30)
        torch.set_rng_state(state)
        best = (g + logits).topk(2, dim=1).values
        margins.append((best[:, 0] - best[:, 1]).numpy())
        out = draw(logits)
        tokens.append(out.argmax(1).numpy().astype(np.int32))
        return out

    decode, pictures = model.content_codec.decode, []

    def decode_and_keep(ids):
        x = decode(ids)
        pictures.append((x / 255).permute(0, 2, 3, 1).numpy())
        return x

    net.q_posterior, net.log_sample_categorical, model.content_codec.decode = posterior_and_dump, draw_and_dump, decode_and_keep
    torch.manual_seed(a.seed)
    kw = {"replicate": 1} if kind != "self" else {"replicate": 1, "batch": batch}
    model.generate_content(**({"batch": batch, "filter_ratio": 0, "content_ratio": 1,
                               "sample_type": "top%gr" % a.truncation} | kw))
    assert len(tokens) == steps
    put("tokens", np.stack(tokens))
    put("margin", np.stack(margins))
    put("image", np.asarray(pictures[0], dtype=np.float32))
    print("steps", steps, "image", pictures[0].shape, "least margin", np.stack(margins).min())


if __name__ == "__main__":
    main()
