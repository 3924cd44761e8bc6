#!/usr/bin/env python3
"""released_shapes.py ITHQ_SPEC OUT_DIR LAYERS: make_model.py's specs coco.json, imagenet.json and ffhq.json, of the width, grid and codes of
microsoft/VQ-Diffusion's models of these names, with LAYERS layers. The text encoder is ithq's."""
import json
import os
import sys

# name: width, side of the grid, codes, more of the transformer, channels of the VQ-VAE
SHAPES = {
    "coco": (1024, 32, 2887, {"cross_attention_dim": 512}, [128, 128, 256, 512]),
    "imagenet": (512, 16, 974, {"block_type": "selfcondition", "mlp_type": "conv_mlp", "spatial_size": [32, 32], "num_classes": 1000},
                 [128, 128, 256, 256, 512]),
    "ffhq": (512, 16, 1024, {"block_type": "self", "mlp_type": "conv_mlp", "spatial_size": [32, 32]}, [128, 128, 256, 256, 512]),
}


def main():
    ithq, out, layers = sys.argv[1:]
    with open(ithq) as f:
        ithq = json.load(f)
    for seed, (name, (width, side, codes, more, channels)) in enumerate(SHAPES.items(), 200):
        n = len(channels)
        transformer = {**ithq["transformer"], "num_attention_heads": 16, "attention_head_dim": width // 16, "num_layers": int(layers),
                       "num_vector_embeds": codes + 1, "sample_size": side}
        transformer.pop("cross_attention_dim")
        spec = {
            "seed": seed,
            "transformer": transformer | more,
            "vqvae": {**ithq["vqvae"], "block_out_channels": channels, "num_vq_embeddings": codes, "vq_embed_dim": 256,
                      "down_block_types": ["DownEncoderBlock2D"] * (n - 1) + ["AttnDownEncoderBlock2D"],
                      "up_block_types": ["AttnUpDecoderBlock2D"] + ["UpDecoderBlock2D"] * (n - 1)},
            "scheduler": {**ithq["scheduler"], "num_vec_classes": codes + 1},
        }
        if name == "coco":
            spec |= {k: ithq[k] for k in ("text_encoder", "learned_classifier_free_sampling_embeddings")}
        with open(os.path.join(out, name + ".json"), "w") as f:
            json.dump(spec, f)


if __name__ == "__main__":
    main()
