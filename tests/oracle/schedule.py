#!/usr/bin/env python3
"""Learning rates of torch.optim.lr_scheduler, as the tables of tests/unit/test_schedule.c. Needs torch."""
import math
import warnings

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

warnings.simplefilter("ignore")


def optimizer(lr):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def rates(make, lr, epochs):
    opt = optimizer(lr)
    scheduler, out = make(opt), []
    for _ in range(epochs):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return out


def cosine(lr, low, total):
    """The closed form of CosineAnnealingLR (_get_closed_form_lr); its recursive form drifts by rounding."""
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer(lr), total, low)
    out = []
    for epoch in range(total + 1):
        scheduler.last_epoch = epoch
        out.append(scheduler._get_closed_form_lr()[0])
    return out


def table(name, values):
    text = ", ".join("NAN" if math.isnan(v) else "%.17g" % v for v in values)
    print("static const double %s[] = {%s};" % (name, text))


table("step_3_05", rates(lambda o: StepLR(o, 3, 0.5), 0.1, 10))
table("step_default", rates(lambda o: StepLR(o, 30), 1e-3, 90)[::30])
table("cosine_8", cosine(0.1, 0.001, 8))
table("cosine_5", cosine(1e-3, 0, 5))

losses = [1.0, 0.9, 0.89995, 0.89991, 0.89992, 0.8, math.nan, 0.81, 0.8, 0.79, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9,
          0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
opt = optimizer(0.1)
plateau = ReduceLROnPlateau(opt, factor=0.5, patience=2, min_lr=0.01)
found = []
for loss in losses:
    found.append(opt.param_groups[0]["lr"])
    plateau.step(loss)
table("plateau_losses", losses)
table("plateau_rates", found)
