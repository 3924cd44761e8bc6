#!/usr/bin/env python3
"""make_bin.py MODEL_DIR OUT_DIR: a model folder (make_model.py) with float32 weights in .bin files, written by torch.save as diffusers and
transformers do; the other files are copied. Needs torch."""
import os
import shutil
import sys

import torch

from make_original import load


def main():
    source, out = sys.argv[1:]
    no_weights = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(source, out, ignore=no_weights, dirs_exist_ok=True)
    for part in sorted(os.listdir(source)):
        tensors = {k: v.float() for k, v in load(os.path.join(source, part)).items()}
        if tensors:
            name = "pytorch_model.bin" if part == "text_encoder" else "diffusion_pytorch_model.bin"
            torch.save(tensors, os.path.join(out, part, name))


if __name__ == "__main__":
    main()
