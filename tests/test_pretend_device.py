"""The pretended device refuses what a GPU refuses, allows what it allows, and computes what the CPU computes."""

import copy
import io
from contextlib import ExitStack

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pretend_device import NAME, OnDevice, pretend_device
from safetensors.torch import load, save
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import checkpoint


@pytest.fixture(autouse=True)
def within():
    """The block that each test is in."""
    with ExitStack() as block:
        block.enter_context(pretend_device())
        yield block


@pytest.fixture
def here():
    """Numbers in CPU memory, (2, 3)."""
    return torch.tensor([[0.5, -1.0, 2.0], [3.0, 0.25, -4.0]])


@pytest.fixture
def there(here):
    return here.to("accel")


def there_is():
    return torch.device(NAME, 0)


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 3)
    )
    model[1].running_var.uniform_(0.5, 2)
    return model


def images():
    return torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def same(found, expected):
    """Both hold the same bits, the first on the device; of several tensors each does."""
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        return all(same(mine, its) for mine, its in zip(found, expected, strict=True))
    assert found.device == there_is()
    assert (found.shape, found.dtype, found.stride()) == (expected.shape, expected.dtype, expected.stride())
    return torch.equal(found.detach().cpu(), expected.detach())


REFUSED = {
    "add": lambda there, here: there + here,
    "add, the other way round": lambda there, here: here + there,
    "in place": lambda there, here: there.add_(here),
    "into the cpu": lambda there, here: here.add_(there),
    "a number of the device into the cpu": lambda there, here: here + there[0, 0],
    "written into a number of the cpu": lambda there, here: here[0, 0].add_(there[0, 0]),
    "product": lambda there, here: there @ here.T,
    "linear": lambda there, here: F.linear(there, torch.ones(2, 3)),
    "bias of no dimension": lambda there, here: torch.dot(there[0], here[0]),
    "cat": lambda there, here: torch.cat([there, here]),
    "stack of numbers": lambda there, here: torch.stack([there[0, 0], torch.tensor(1.0)]),
    "where": lambda there, here: torch.where(there > 0, here, there),
    "mask": lambda there, here: there.masked_fill(here > 0, 0.0),
    "gather": lambda there, here: there.gather(1, torch.zeros(2, 1, dtype=torch.int64)),
    "index_select": lambda there, here: there.index_select(0, torch.tensor([1])),
    "indices of the device in the cpu": lambda there, here: here[torch.tensor([1], device="accel")],
    "values of the cpu at indices": lambda there, here: there.__setitem__(torch.tensor([0, 1]), here),
    "searchsorted": lambda there, here: torch.searchsorted(there[0].sort().values, here[0]),
    "equal": lambda there, here: torch.equal(there, here),
    "out": lambda there, here: torch.add(there, there, out=here),
}


@pytest.mark.parametrize("name", REFUSED)
def test_operations_that_mix_the_devices_are_refused(there, here, name):
    before = here.clone()
    with pytest.raises(RuntimeError, match="same device"):
        REFUSED[name](there, here)
    assert torch.equal(here, before)
    assert same(there, before)


ALLOWED = {
    "a number of the cpu": (lambda x: x * torch.tensor(2.0), lambda x: x * 2.0),
    "a number of the cpu, first": (lambda x: torch.tensor(2.0) - x, lambda x: 2.0 - x),
    "numbers of both": (lambda x: x[0, 0] + torch.tensor(2.0), lambda x: x[0, 0] + 2.0),
    "in place": (lambda x: x.clone().mul_(torch.tensor(2.0)), lambda x: x * 2.0),
    "where": (lambda x: torch.where(x > 0, x, torch.tensor(0.0)), lambda x: x.clamp(min=0.0)),
    "maximum": (lambda x: torch.maximum(x, torch.tensor(0.0)), lambda x: x.clamp(min=0.0)),
    "filled": (lambda x: x.masked_fill(x < 0, torch.tensor(0.0)), lambda x: x.clamp(min=0.0)),
    "compared": (lambda x: x > torch.tensor(0.0), lambda x: x > 0),
    "indices of the cpu": (lambda x: x[torch.tensor([1, 0])], lambda x: x[[1, 0]]),
    "a mask of the cpu": (lambda x: x[torch.tensor([True, False])], lambda x: x[:1]),
    "a number at indices": (
        lambda x: put(x, ([0, 1], [1, 2]), torch.tensor(7.0)),
        lambda x: put(x, ([0, 1], [1, 2]), 7.0),
    ),
    "copied into a part": (lambda x: put(x, 0, torch.zeros(3)), lambda x: put(x, 0, 0.0)),
    "copied": (lambda x: torch.empty_like(x).copy_(x.cpu()), lambda x: x.clone()),
}


def put(x, where, value):
    x = x.clone()
    x[where] = value
    return x


@pytest.mark.parametrize("name", ALLOWED)
def test_numbers_indices_and_copies_of_the_cpu_are_allowed(there, here, name):
    pretended, plain = ALLOWED[name]
    assert same(pretended(there), plain(here))


def test_numpy_takes_and_gives_nothing_without_a_copy(there, here):
    for share in (Tensor_numpy, np.asarray, np.array, np.from_dlpack, Tensor_numpy_of_a_gradient):
        with pytest.raises((TypeError, BufferError), match=r"Tensor\.cpu"):
            share(there)
    assert np.array_equal(there.numpy(force=True), here.numpy())
    given = here.clone().numpy()
    for make in (torch.as_tensor, torch.asarray, torch.tensor):
        made = make(given, device="accel")
        given[:] = 0
        assert same(made, here)
        given[:] = here.numpy()
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.from_numpy(given)
    back = there.cpu()
    back.zero_()
    assert same(there, here)
    assert there.tolist() == here.tolist()
    assert there[1, 2].item() == float(there.min()) == -4.0


def Tensor_numpy(x):  # noqa: N802
    return x.numpy()


def Tensor_numpy_of_a_gradient(x):  # noqa: N802
    return x.clone().requires_grad_().detach().numpy()


def test_what_is_made_on_the_device_is_there(there, here):
    assert same(torch.zeros(2, 3, device="accel"), torch.zeros(2, 3))
    assert same(torch.full((2,), 3.0, device="accel:0"), torch.full((2,), 3.0))
    assert same(torch.arange(5, device=there_is()), torch.arange(5))
    assert same(torch.tensor([1, 2], device="accel"), torch.tensor([1, 2]))
    assert same(there.new_tensor([1, 2]), here.new_tensor([1, 2]))
    assert same(there.new_zeros(4), here.new_zeros(4))
    assert same(torch.eye(3, device="accel")[there.sign().long()], torch.eye(3)[here.sign().long()])
    assert same(torch.zeros_like(here, device="accel"), torch.zeros(2, 3))
    assert torch.zeros_like(there, device="cpu").device.type == there.new_zeros(2, device="cpu").device.type == "cpu"
    assert torch.tensor([1.0], device="accel", requires_grad=True).requires_grad
    with torch.device("accel"):
        assert same(torch.ones(2), torch.ones(2, device="cpu"))
    with pytest.raises(RuntimeError, match="ordinal"):
        torch.zeros(2, device="accel:1")
    assert not there.is_cpu
    assert not there.is_cuda


@pytest.mark.parametrize("draw", [torch.rand, torch.randn, lambda *size, **options: torch.randint(9, size, **options)])
def test_a_generator_draws_on_its_own_device_alone(draw):
    own, other = torch.Generator(device="accel"), torch.Generator()
    assert own.device == there_is()
    assert isinstance(own, torch.Generator)
    assert isinstance(other, torch.Generator)
    own.manual_seed(3)
    other.manual_seed(3)
    assert same(draw(4, generator=own, device="accel"), draw(4, generator=other))
    for generator, device in ((other, "accel"), (own, "cpu")):
        with pytest.raises(RuntimeError, match="device type for generator"):
            draw(4, generator=generator, device=device)
    with pytest.raises(RuntimeError, match="device type for generator"):
        torch.empty(2, device="accel").uniform_(generator=other)
    torch.manual_seed(3)
    drawn = draw(4, device="accel")
    torch.manual_seed(3)
    assert same(drawn, draw(4))


def test_views_share_their_numbers_and_are_written_in_place(there, here):
    for x in (there, here):
        row, turned = x[1], x.t()
        row.mul_(2)
        turned[2] = 5.0
        x.view(-1)[0] = 9.0
        x[:, 1:].clamp_(max=1.0)
    assert same(there, here)
    assert there.t()._is_view()
    there.t_().squeeze_().unsqueeze_(0)
    assert same(there, here.t()[None])
    assert same(there.resize_(2, 2), torch.tensor([[9.0, -1.0], [1.0, 6.0]]))


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x.sort(),
        lambda x: x.topk(2),
        lambda x: x.max(1),
        lambda x: x.cumsum(1),
        lambda x: torch.linalg.svd(x @ x.T),
        lambda x: torch.linalg.solve_triangular((x @ x.T).tril(), x, upper=False),
        lambda x: torch.einsum("ij,kj->ik", x, x),
        lambda x: F.unfold(x[None, None], (2, 2)),
        lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None]),
        lambda x: F.layer_norm(x, (3,)),
        lambda x: (x > 0).nonzero(),
        lambda x: x[x > 0],
        lambda x: x.unique(),
        lambda x: x.split([1, 2], dim=1),
        lambda x: x.unbind(),
        lambda x: torch.add(x, x, out=torch.empty_like(x)),
        lambda x: x.index_add(0, torch.zeros(2, dtype=torch.int64, device=x.device), x),
        lambda x: torch.histc(x, 3),
        lambda x: torch.func.vmap(torch.func.grad(lambda row: row.sin().sum()))(x),
        lambda x: torch.func.jacrev(lambda all_of_it: all_of_it.sin())(x),
    ],
)
def test_results_are_the_cpus_bit_for_bit(there, here, compute):
    assert same(compute(there), compute(here))


def test_gradients_are_the_cpus_bit_for_bit(there, here):
    for again in (lambda f, x: f(x), lambda f, x: checkpoint(f, x, use_reentrant=False)):
        gradients = []
        for x in (there.clone().requires_grad_(), here.clone().requires_grad_()):
            value = again(lambda z: (z.sin() * z[:, :1]).square().sum(), x)
            (first,) = torch.autograd.grad(value, x, create_graph=True)
            first.square().sum().backward()
            gradients.append((first, x.grad))
        assert same(*gradients)


class Cubed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


def test_gradients_after_those_of_the_cpu_and_within_inference_mode(there):
    torch.ones(2, requires_grad=True).sum().backward()
    with torch.inference_mode(), torch.inference_mode(False), torch.enable_grad():
        x = there.clone().requires_grad_()
        x.square().sum().backward()
    assert same(x.grad, 2 * there.cpu())


def test_functions_with_a_gradient_of_their_own_and_hooks(there, here):
    for x in (there.requires_grad_(), here.requires_grad_()):
        x.register_hook(lambda gradient: 2 * gradient)
        Cubed.apply(x).sum().backward()
    assert same(there.grad, here.grad)


def test_inference_mode_and_no_grad(here):
    with torch.inference_mode():
        inside = here.to("accel") * 2
        assert inside.is_inference()
    assert same(inside.clone(), here * 2)
    with torch.no_grad():
        assert not (here.to("accel").requires_grad_() * 2).requires_grad


def test_autocast_of_the_cpu_leaves_the_device_alone(there, here):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (here @ here.T).dtype == torch.bfloat16
        product = there @ there.T
    assert same(product, here @ here.T)


def test_modules_move_as_the_same_parameters_and_compute_the_same():
    model, x = network().eval(), images()
    expected, weight = model(x).detach(), model[0].weight
    assert model.to("accel") is model
    assert model[0].weight is weight
    assert {each.device for each in (*model.parameters(), *model.buffers())} == {there_is()}
    assert same(model(x.to("accel")), expected)
    with pytest.raises(RuntimeError, match="same device"):
        model(x)
    assert model.double()(x.double().to("accel")).dtype == torch.float64
    assert torch.equal(model.float().cpu()(x), expected)


def test_tied_parameters_stay_tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model.to("accel").double()
    assert model[1].weight is model[0].weight


def test_copies_are_modules_of_their_own():
    model, x = network().eval().to("accel"), images().to("accel")
    expected = model(x)
    twin = copy.deepcopy(model)
    assert all(isinstance(each, nn.Parameter) and each.requires_grad for each in twin.parameters())
    with torch.no_grad():
        twin[0].weight.zero_()
        twin[1].running_mean.fill_(9)
    assert torch.equal(model(x), expected)
    assert len(list(twin.parameters())) == len(list(model.parameters()))
    tied = nn.Linear(2, 2, device="accel")
    tied.other = tied.weight
    assert copy.deepcopy(tied).other is not tied.weight
    assert len(list(copy.deepcopy(tied).parameters())) == 2
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(tied.weight * 2)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_training_is_the_cpus_bit_for_bit(optimizer):
    weights = []
    for device in ("accel", "cpu"):
        model = network().to(device).train()
        steps = optimizer(model.parameters(), lr=0.1)
        for _ in range(3):
            steps.zero_grad()
            F.cross_entropy(model(images().to(device)), torch.arange(4, device=device) % 3).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            steps.step()
        weights.append(tuple(each.detach() for each in model.state_dict().values()))
    assert same(*weights)


def test_states_are_saved_and_loaded_from_either_device(tmp_path):
    model, x = network().to("accel").eval(), images().to("accel")
    expected, state = model(x), model.state_dict()
    assert {value.device for value in state.values()} == {there_is()}
    written = [save({key: value.cpu() for key, value in state.items()}), save(state)]
    for other in (network().to("accel"), network()):
        with torch.no_grad():
            other[0].weight.zero_()
        for found in (state, load(written[0]), load(written[1])):
            other.load_state_dict(found)
            assert torch.equal(other.to("accel").eval()(x), expected)
    held = io.BytesIO()
    torch.save(state, held)
    held.seek(0)
    back = torch.load(held, weights_only=False)
    assert all(same(back[key], value.cpu()) for key, value in state.items())


def test_data_is_written_through():
    layer = nn.Linear(2, 2, device="accel")
    layer.weight.data.fill_(1.0)
    layer.bias.data = torch.full((2,), 5.0, device="accel")
    assert layer(torch.ones(1, 2, device="accel")).tolist() == [[7.0, 7.0]]
    assert layer.weight.data_ptr() != layer.bias.data_ptr()
    assert layer.weight.data_ptr() == layer.weight.detach().view(-1).data_ptr()


class Seen(TorchDispatchMode):
    """What is run within it, by name."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_a_dispatch_mode_sees_what_runs_on_the_device(there, here):
    with Seen() as outer, Seen() as inner:
        found = torch.relu(there @ torch.ones(3, 2, device="accel")) + 1
    assert inner.names == outer.names == ["ones", "mm", "relu", "add"]
    assert same(found, torch.relu(here @ torch.ones(3, 2)) + 1)
    with Seen() as mode:
        moved = here.to("accel").cpu()
        made = torch.tensor([1.0, 2.0], device="accel")
    assert "_to_copy" in mode.names
    assert torch.equal(moved, here)
    assert made.device == there_is()


class Traced(torch.Tensor):
    """A tensor that wraps another and notes each operation, as one that captures a network does."""

    @staticmethod
    def __new__(cls, held, log):
        made = torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype, device=held.device)
        made.held, made.log = held, log
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        logs = [each.log for each in args if isinstance(each, Traced)]
        logs[0].append(func.overloadpacket.__name__)
        plain = tree_map(lambda each: each.held if isinstance(each, Traced) else each, (args, kwargs or {}))
        out = func(*plain[0], **plain[1])
        return tree_map(lambda each: Traced(each, logs[0]) if isinstance(each, torch.Tensor) else each, out)


@pytest.mark.parametrize("within", [False, True])
def test_a_tensor_that_wraps_one_on_the_device_is_asked_first(there, here, within):
    log, model = [], nn.Linear(3, 2)
    expected = torch.relu(model(here)) + here[:, :2]
    model.to("accel")
    with torch.no_grad(), Seen() if within else torch.no_grad():
        traced = Traced(there, log)
        assert traced.device == there_is()
        found = torch.relu(model(traced)) + there[:, :2]
    assert isinstance(found, Traced)
    assert isinstance(found.held, OnDevice)
    assert same(found.held, expected)
    assert [name for name in log if name != "t"] == ["addmm", "relu", "add"]
    with pytest.raises(RuntimeError, match="same device"):
        traced + here


def test_a_mode_may_answer_with_tensors_that_wrap_those_on_the_device(there, here):
    class Wrapping(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            plain = tree_map(lambda each: each.held if isinstance(each, Traced) else each, (args, kwargs or {}))
            out = func(*plain[0], **plain[1])
            return tree_map(lambda each: Traced(each, []) if isinstance(each, torch.Tensor) else each, out)

    model = network().eval().to("accel")
    x = images()
    expected = model(x.to("accel"))
    with torch.no_grad(), Wrapping():
        found = model(Traced(x.to("accel"), []))
    assert isinstance(found, Traced)
    assert torch.equal(found.held, expected)


def test_outside_of_the_block_everything_is_as_before(within):
    assert torch.accelerator.is_available()
    with pretend_device():
        pass
    assert torch.Generator(device="accel").device == there_is()
    within.close()
    assert not torch.accelerator.is_available()
    assert not torch.__future__.get_swap_module_params_on_conversion()
    assert torch.Generator is type(torch.default_generator)
    x = torch.ones(2, requires_grad=True)
    x.square().sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
