from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from stn.models.mnist import Fcn, StFcn
from stn.tasks.classification import ClassificationTask, DivergedError
from stn.transformers import Affine


def task_of(network: nn.Module, lr: float = 0.1, factor: float = 1.0) -> ClassificationTask:
    constant = partial(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda step: 1.0)
    return ClassificationTask(network, partial(torch.optim.SGD, lr=lr), constant, factor)


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
    tester = trainer()
    tester.test(task_of(Oracle()), loader(answers, images), verbose=False)
    result = tester.callback_metrics
    assert result["test_error_percent"] == 100 * num_wrong / 23
    assert result["num_test"] == 23


def test_an_infinite_loss_ends_training() -> None:
    images, labels = torch.full((14, 1, 28, 28), torch.inf), torch.zeros(14, dtype=torch.long)
    with pytest.raises(DivergedError, match="nan at step 0"):
        trainer(max_epochs=1, enable_checkpointing=False).fit(
            task_of(Fcn((28, 28), 4)), loader(labels, images)
        )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_labels_are_smoothed_evenly_over_all_classes(smoothing: float) -> None:
    logits, labels = torch.randn(7, 10, dtype=torch.float64), torch.arange(7)
    task = task_of(nn.Linear(10, 10).double())
    task.network.load_state_dict(
        {"weight": torch.eye(10, dtype=torch.float64), "bias": torch.zeros(10).double()}
    )
    task.label_smoothing, published = smoothing, []
    task._publish = published.append  # type: ignore[method-assign]
    data = DataLoader(TensorDataset(logits, labels), batch_size=7)
    trainer(max_steps=1, enable_checkpointing=False).fit(task, data)
    wanted = (1 - smoothing) * torch.eye(10, dtype=torch.float64)[labels] + smoothing / 10
    expected = -(wanted * logits.log_softmax(1)).sum(1).mean().item()
    assert published == [{"train_loss": pytest.approx(expected, rel=1e-12)}]


def test_a_share_is_a_share() -> None:
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\], not 1.5"):
        ClassificationTask(nn.Identity(), torch.optim.SGD, lambda o: o, label_smoothing=1.5)  # type: ignore[arg-type, return-value]


def test_localisation_parameters_have_their_own_learning_rate() -> None:
    network = StFcn((28, 28), 4, Affine(), (28, 28))
    optimizer = task_of(network, lr=0.1, factor=0.25).configure_optimizers()["optimizer"]
    rest, localisation = optimizer.param_groups
    assert (rest["lr"], localisation["lr"]) == (0.1, 0.025)
    expected = {id(p) for p in network.transformer.localisation.parameters()}
    assert {id(p) for p in localisation["params"]} == expected
    assert len(rest["params"]) + len(expected) == len(list(network.parameters()))


def test_a_network_without_a_transformer_has_one_group() -> None:
    optimizer = task_of(Fcn((28, 28), 4)).configure_optimizers()["optimizer"]
    assert len(optimizer.param_groups) == 1


def test_fast_dev_run() -> None:
    images, labels = torch.rand(14, 1, 28, 28), torch.arange(14) % 10
    data = loader(labels, images)
    task = task_of(StFcn((28, 28), 4, Affine(), (28, 28)))
    trainer(fast_dev_run=True).fit(task, data, data)
