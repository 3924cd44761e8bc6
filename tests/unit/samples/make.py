#!/usr/bin/env python3
"""Write the samples beside this file with torch (2.x): python make.py

nested.pth  a checkpoint of dicts, lists, views, shared storage and every dtype of use
module.bin  a module's state_dict, as diffusers and transformers write their .bin files
legacy.pth  the format before torch 1.6, which is refused
"""
import os

import torch

os.chdir(os.path.dirname(os.path.abspath(__file__)))
linear = torch.nn.Linear(3, 2)
with torch.no_grad():
    linear.weight.copy_(torch.arange(6.0).reshape(2, 3))
    linear.bias.copy_(torch.tensor([0.5, -0.5]))
base = torch.arange(24.0).reshape(4, 6)
torch.save(
    {
        "model": linear.state_dict(),
        "parameter": torch.nn.Parameter(torch.tensor([1.5, 2.5])),
        "bf16": torch.arange(4).to(torch.bfloat16),
        "f16": torch.arange(4).half(),
        "i64": torch.arange(3),
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 3),
        "rows": base[1:3],
        "columns": base[:, 2:4],
        "transposed": base.t(),
        "last_epoch": 7,
        "lr": 1e-3,
        "note": None,
        "size": torch.Size([4, 6]),
        "dtype": torch.float16,
        "optimizer": {"state": {0: {"step": 1, "exp_avg": torch.ones(3)}}, "param_groups": [{"betas": (0.9, 0.999)}]},
    },
    "nested.pth",
)
torch.save(linear.state_dict(), "module.bin")
torch.save(linear.state_dict(), "legacy.pth", _use_new_zipfile_serialization=False)
