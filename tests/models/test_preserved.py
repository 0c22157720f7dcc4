"""What a model's forward does to its state, and that nothing of it is left."""

import warnings
from collections import deque

import pytest
import torch
from pretend_device import pretend_device
from torch import nn

from inradius.models.preserved import preserved

TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


class Rich(nn.Module):
    """A module with state of every kind."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 3), nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(3)
        self.tied = self.first.weight
        self.register_buffer("table", torch.randn(3, 4))
        self.register_buffer("late", None)
        self.plain = torch.randn(5)
        self.held = [torch.randn(3), {"inner": (torch.randn(2), [torch.randn(2)])}]
        self.named = {"a": torch.randn(2), "b": {"c": torch.randn(2)}}
        self.members = {torch.randn(2), (1, 2)}
        self.line = deque([torch.randn(2)])
        self.number, self.nothing = 3, {}
        # a module that is not registered
        self.teacher = [nn.Linear(2, 2)]


def tensors_of(model):
    inside = model.held[1]["inner"]
    plain = [model.plain, model.held[0], inside[0], inside[1][0], model.named["a"], model.named["b"]["c"]]
    sets = [each for each in model.members if torch.is_tensor(each)]
    return [*model.parameters(), *model.buffers(), *plain, *sets, *model.line, *model.teacher[0].parameters()]


def bits(tensor):
    dense = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
    return dense.cpu().contiguous().view(torch.uint8).tolist() if dense.ndim else bits(dense[None])


def snapshot(model):
    """What can be seen of a model: objects by identity, numbers by bits."""
    found = tensors_of(model)
    attributes = [(key, id(value)) for module in model.modules() for key, value in vars(module).items()]
    entries = [
        (key, id(value))
        for module in model.modules()
        for kept in (module._parameters, module._buffers, module._modules, module._forward_hooks)
        for key, value in kept.items()
    ]
    flags = [(each.requires_grad, each.is_leaf, id(each.grad), each.data_ptr(), each.shape) for each in found]
    containers = [list(map(id, model.held)), [(k, id(v)) for k, v in model.named.items()], list(map(id, model.line))]
    sets = sorted(map(id, model.members)), dict(model.nothing)
    return attributes, entries, [id(each) for each in found], flags, [bits(each) for each in found], containers, sets


def differs(model, before):
    try:
        return snapshot(model) != before
    except (AttributeError, IndexError, KeyError, UserWarning):
        return True


def all_data(m):
    for each in tensors_of(m):
        each.data.add_(1)


def all_replaced(m):
    for each in tensors_of(m):
        each.data = torch.zeros(2)


def replaced_and_written(m):
    for each in tensors_of(m):
        each.data.mul_(3)
        each.data = each.data.double().repeat(2, *(1,) * (each.ndim - 1)) if each.ndim else torch.ones(2)


def all_in_place(m):
    with torch.no_grad():
        for each in tensors_of(m):
            each.add_(1)


def through_numpy(m):
    for each in tensors_of(m):
        if each.ndim and not each.requires_grad:
            each.numpy()[0] += 1
    m.first.weight.detach().numpy()[0] = 7


def a_single_bit(m):
    m.first.weight.data.view(torch.int32)[2, 3] ^= 1
    m.plain.view(torch.int32)[-1] ^= 1


def signs_of_zero_and_nan(m):
    m.first.weight.data[0, 0] *= -1
    m.table.data[0, 0] = 1.0
    m.plain[0] = 0.0


def flags(m):
    m.requires_grad_(False)
    m.table.requires_grad_(True)
    m.plain.requires_grad_(True)


def gradients(m):
    m.first.weight.grad = None
    m.second.weight.grad = torch.ones_like(m.second.weight)
    m.second(m.first(torch.ones(1, 4))).sum().backward()


def gradient_in_place(m):
    m.first.weight.grad.zero_()


def attributes(m):
    m.number, m.fresh = 4, torch.ones(2)
    m.plain = torch.ones(3)
    del m.named
    m.second.extra = [1]


def registered(m):
    m.first.weight = nn.Parameter(torch.ones(3, 4))
    m.table = torch.ones(3, 4)
    m.late = torch.ones(2)
    m.second = nn.ReLU()
    del m.norm
    m.add_module("more", nn.Linear(2, 2))
    m.eval()


def hooked(m):
    m.first.register_forward_hook(lambda *given: None)
    m.nothing["key"] = 1


def containers(m):
    m.held.append(1)
    m.held[1]["inner"][1].append(2)
    m.held[1]["other"] = 3
    m.named["b"] = m.named.pop("a")
    m.members.clear()
    m.members.add(5)
    m.line.appendleft(0)
    m.teacher[0].weight = nn.Parameter(torch.ones(2, 2))


def mixed_with_gradients(m):
    m.plain.add_(m.first.weight.sum())
    m.table.mul_(m.second.weight.sum())
    m.norm.train()
    m.norm(torch.randn(5, 3))


CHANGES = [
    all_data,
    all_replaced,
    replaced_and_written,
    all_in_place,
    through_numpy,
    a_single_bit,
    signs_of_zero_and_nan,
    flags,
    gradients,
    gradient_in_place,
    attributes,
    registered,
    hooked,
    containers,
    mixed_with_gradients,
]


def rich():
    model = Rich()
    model.first.weight.data[0, 0], model.plain[0], model.table[0, 0] = 0.0, -0.0, torch.nan
    model.first.weight.grad = torch.full_like(model.first.weight, 2.0)
    return model


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_is_undone(change, inference):
    model = rich()
    before, gradient = snapshot(model), model.first.weight.grad
    with torch.inference_mode(inference), preserved(model):
        with torch.inference_mode(False):
            change(model)
        assert differs(model, before) or change is gradient_in_place
    assert snapshot(model) == before
    assert gradient.eq(2).all()


def fails_after(model, change):
    with preserved(model):
        change(model)
        raise KeyError


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_is_undone_after_an_error_and_in_nested_blocks(change):
    model = rich()
    before = snapshot(model)
    with preserved(model):
        all_data(model)
        between = snapshot(model)
        with pytest.raises(KeyError):
            fails_after(model, change)
        assert snapshot(model) == between
    assert snapshot(model) == before


def test_other_holders_of_a_parameters_memory_share_it_again():
    model = nn.Linear(3, 2)
    view, whole = model.weight.detach()[0], model.weight.data
    with preserved(model):
        model.weight.data = torch.zeros(2, 3)
        view.fill_(9)
    assert not whole.eq(9).any()
    model.weight.data[0] = 5
    assert view.eq(5).all()
    assert whole[0].eq(5).all()


def test_parameters_that_share_memory():
    flat = torch.randn(10)
    model = nn.Module()
    model.first, model.second = nn.Parameter(flat[:6].view(2, 3)), nn.Parameter(flat[4:])
    before = flat.clone()
    with preserved(model):
        model.second.data.zero_()
        model.first.data.add_(1)
    assert torch.equal(flat, before)


@pytest.mark.parametrize("dtype", [*TYPES, torch.int64, torch.bool, torch.uint8, torch.complex64, torch.complex128])
@pytest.mark.parametrize(
    "lay",
    [
        lambda t: t,
        lambda t: t.transpose(0, 1),
        lambda t: t[1:, ::2],
        lambda t: t[:, 1:2].expand(-1, 5),
        lambda t: t[0, 0],
        lambda t: t[:0],
        lambda t: t.flatten()[1:4],
        lambda t: t.conj(),
    ],
    ids=["plain", "transposed", "strided", "expanded", "number", "empty", "offset", "conjugate"],
)
def test_every_type_and_layout(dtype, lay):
    base = torch.arange(12).view(3, 4).to(dtype)
    model = nn.Module()
    model.register_buffer("table", lay(base))
    before, held = base.clone(), model.table
    with preserved(model):
        base.zero_()
        model.table.data = torch.ones(2, dtype=dtype)
    # what lies beside the buffer's numbers is none of its state
    assert torch.equal(model.table, lay(before))
    assert model.table is held
    assert held.untyped_storage()._cdata == base.untyped_storage()._cdata


@pytest.mark.parametrize("inference", [False, True])
def test_tensors_of_inference_mode(inference):
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        model.register_buffer("table", torch.ones(3))
    before = [each.clone() for each in model.state_dict().values()]
    with torch.inference_mode(inference), preserved(model), torch.inference_mode():
        for each in model.state_dict().values():
            each.add_(1)
        model.table.data = torch.zeros(3)
    assert all(map(torch.equal, model.state_dict().values(), before))


def test_tensors_that_cannot_be_compared_are_left_alone():
    model = nn.Module()
    model.sparse = nn.Parameter(torch.eye(3).to_sparse(), requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.short = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    model.absent = torch.ones(3, device="meta")
    model.lazy = nn.LazyLinear(3)
    model.dense = nn.Parameter(torch.ones(3))
    with preserved(model):
        model.sparse.requires_grad_(False)
        model.dense.data.zero_()
        model.short = None
    assert model.sparse.requires_grad
    assert model.dense.eq(1).all()
    assert model.short is not None


def test_containers_that_hold_themselves():
    model = nn.Module()
    model.loop = [torch.ones(2)]
    model.loop.append(model.loop)
    model.owner = {"model": model}
    with preserved(model):
        model.loop[0].zero_()
        model.loop.pop()
    assert model.loop[0].eq(1).all()
    assert model.loop[1] is model.loop


def test_gradients_of_earlier_runs_stay_good():
    model = nn.Linear(3, 2)
    x = torch.ones(1, 3, requires_grad=True)
    out = model(x).square().sum()
    with preserved(model):
        model.weight.data.zero_()
    out.backward()
    torch.testing.assert_close(x.grad, 2 * model(x).detach() @ model.weight.detach())


def test_what_is_no_module_has_no_state():
    with preserved(lambda x: x):
        pass


def test_a_scripted_module():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.jit.script(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with preserved(model):
        model.train()
        model(torch.randn(4, 3))
        for each in model.parameters():
            each.data.zero_()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_on_another_device():
    with pretend_device() as device:
        model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).to(device)
        model.plain = torch.ones(3, device=device)
        model[0].weight.grad = torch.ones(3, 3, device=device)
        kept = [*model.parameters(), *model.buffers(), model.plain]
        before = [(each.detach().cpu().clone(), each.data_ptr(), each.requires_grad, each.grad) for each in kept]
        with preserved(model):
            model(torch.randn(4, 3, device=device)).sum().backward()
            for each in kept:
                each.data.add_(1)
            model[0].weight.data = torch.zeros(3, 3, device=device)
            model.plain.fill_(torch.nan)
            model.requires_grad_(False)
        after = [*model.parameters(), *model.buffers(), model.plain]
        for each, same, (value, address, wanted, gradient) in zip(after, kept, before, strict=True):
            assert each is same
            assert torch.equal(each.detach().cpu(), value)
            assert (each.data_ptr(), each.requires_grad) == (address, wanted)
            assert each.grad is gradient
        assert torch.equal(model[0].weight.grad.cpu(), torch.ones(3, 3))


@pytest.mark.parametrize("dtype", TYPES)
def test_a_forward_that_learns(dtype):
    class Learning(nn.Linear):
        def forward(self, x):
            self.weight.data = self.weight.data / self.weight.data.norm()
            self.bias.data.clamp_(-0.1, 0.1)
            return super().forward(x)

    model = Learning(4, 4).to(dtype)
    before = [bits(each) for each in model.parameters()]
    with preserved(model):
        model(torch.ones(1, 4, dtype=dtype))
    assert [bits(each) for each in model.parameters()] == before


class Other(nn.Linear):
    """Another class that a module may become."""


def test_the_class_of_a_module_is_put_back():
    model = nn.Sequential(nn.Linear(2, 2))
    with preserved(model):
        model[0].__class__ = Other
    assert type(model[0]) is nn.Linear


@pytest.mark.parametrize("change", [None, *CHANGES], ids=lambda change: getattr(change, "__name__", "none"))
def test_a_state_is_put_back_within_the_block_and_tells_whether_anything_was_changed(change):
    model = rich()
    before = snapshot(model)
    with preserved(model) as state:
        state.put_back()
        assert not state.changed
        if change is not None:
            change(model)
        state.put_back()
        assert snapshot(model) == before
        assert state.changed == (change is not None)
        all_in_place(model)
        state.put_back()
        assert state.changed
        attributes(model)
    assert snapshot(model) == before
