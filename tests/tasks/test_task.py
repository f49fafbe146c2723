from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from stn.models.mnist import Fcn, StFcn
from stn.tasks.classification import CrossEntropy, ErrorPercent
from stn.tasks.task import DivergedError, Task
from stn.transformers import Affine, FullyConnectedLocalisation, SpatialTransformer


def task_of(network: nn.Module, lr: float = 0.1, factor: float = 1.0) -> Task:
    constant = partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda step: 1.0)
    evaluators = {"error_percent": ErrorPercent()}
    sgd = partial(torch.optim.SGD, lr=lr)
    return Task(network, CrossEntropy(), evaluators, sgd, constant, factor)


def loader(labels: Tensor, images: Tensor) -> DataLoader:
    return DataLoader(TensorDataset(images, labels), batch_size=7)


def trainer(**kwargs: object) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(accelerator="cpu", **quiet, **kwargs)


class Oracle(nn.Module):
    """Reads the label from the first pixel."""

    def forward(self, U: Tensor) -> Tensor:
        return nn.functional.one_hot(U[:, 0, 0, 0].long(), 10).float()


@pytest.mark.parametrize("num_wrong", [0, 1, 9, 23])
def test_the_error_is_the_exact_share_of_mistakes(num_wrong: int) -> None:
    labels = torch.arange(23) % 10
    images = labels.float().view(-1, 1, 1, 1).repeat(1, 1, 4, 5)
    answers = labels.clone()
    answers[:num_wrong] = (answers[:num_wrong] + 1) % 10
    task = task_of(Oracle())
    for _ in range(2):  # the second time counts anew
        trainer().test(task, loader(answers, images), verbose=False)
        assert task.measured == {"test_error_percent": 100 * num_wrong / 23, "num_test": 23}


def test_an_infinite_loss_ends_training() -> None:
    images, labels = torch.full((14, 1, 28, 28), torch.inf), torch.zeros(14, dtype=torch.long)
    with pytest.raises(DivergedError, match="nan at step 0"):
        trainer(max_epochs=1, enable_checkpointing=False).fit(
            task_of(Fcn((1, 28, 28), 10, 4)), loader(labels, images)
        )


def test_localisation_parameters_have_their_own_learning_rate() -> None:
    network = StFcn((1, 28, 28), 10, 4, Affine())
    optimizer = task_of(network, lr=0.1, factor=0.25).configure_optimizers()["optimizer"]
    rest, localisation = optimizer.param_groups
    assert (rest["lr"], localisation["lr"]) == (0.1, 0.025)
    expected = {id(p) for p in network.transformer.localisation.parameters()}
    assert {id(p) for p in localisation["params"]} == expected
    assert len(rest["params"]) + len(expected) == len(list(network.parameters()))


def test_a_localisation_network_that_transformers_share_is_trained_once() -> None:
    localisation = FullyConnectedLocalisation((1, 9, 7), Affine())
    first, second = (SpatialTransformer(localisation, Affine()) for _ in range(2))
    network = nn.Sequential(first, second, nn.Flatten(), nn.Linear(63, 10))
    rest, shared = task_of(network).configure_optimizers()["optimizer"].param_groups
    assert len(shared["params"]) == len(list(localisation.parameters()))
    assert len(rest["params"]) == 2


def test_a_network_without_a_transformer_has_one_group() -> None:
    optimizer = task_of(Fcn((1, 28, 28), 10, 4)).configure_optimizers()["optimizer"]
    assert len(optimizer.param_groups) == 1


def test_fast_dev_run() -> None:
    images, labels = torch.rand(14, 1, 28, 28), torch.arange(14) % 10
    data = loader(labels, images)
    task = task_of(StFcn((1, 28, 28), 10, 4, Affine()))
    trainer(fast_dev_run=True).fit(task, data, data)
    assert task.measured.keys() == {"val_error_percent"}
