import copy

import torch
from torch.utils.checkpoint import checkpoint
from transformers import CLIPConfig, CLIPModel
from transformers.activations import QuickGELUActivation

from mmclip4clip.models.backbones.quick_gelu import QuickGELU, replace_quick_gelu

TOWER = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)


def test_outputs_are_bit_identical_and_gradients_those_of_finite_differences():
    x = torch.linspace(-30, 30, 1001, requires_grad=True)
    assert torch.equal(QuickGELU()(x), QuickGELUActivation()(x))
    with torch.no_grad():
        assert torch.equal(QuickGELU()(x), QuickGELUActivation()(x))
    wide = torch.linspace(-6, 6, 41, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(QuickGELU(), wide)


def test_gradients_of_gradients_and_of_samples_are_those_of_transformers():
    x = torch.linspace(-4, 4, 12, dtype=torch.float64).view(3, 4).requires_grad_()
    assert torch.autograd.gradgradcheck(QuickGELU(), x)
    found = []
    for activation in (QuickGELU(), QuickGELUActivation()):
        (slope,) = torch.autograd.grad(activation(x).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), x)[0])
        found.append(torch.func.vmap(torch.func.grad(lambda row, act=activation: act(row).sum()))(x))
    torch.testing.assert_close(found[0], found[2])
    torch.testing.assert_close(found[1], found[3])


def test_many_gradients_at_once_are_those_of_transformers():
    x = torch.linspace(-4, 4, 5, dtype=torch.float64)
    found, expected = (
        torch.autograd.functional.jacobian(activation, x, vectorize=True)
        for activation in (QuickGELU(), QuickGELUActivation())
    )
    torch.testing.assert_close(found, expected)


def test_a_step_keeps_one_tensor_less_per_block():
    def kept(activation):
        places = set()
        x = torch.randn(7, 5, requires_grad=True)

        def pack(tensor):
            if tensor.shape == x.shape:  # not the factor
                places.add(tensor.data_ptr())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = activation(2 * x)
        assert output.requires_grad
        return len(places)

    assert kept(QuickGELU()) == kept(QuickGELUActivation()) - 1


def test_both_towers_are_changed_and_other_activations_are_not():
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config=dict(TOWER, vocab_size=99, hidden_act='gelu'),
        vision_config=dict(TOWER, image_size=32, patch_size=16),
    )
    model = CLIPModel(config)
    other = copy.deepcopy(model)
    replace_quick_gelu(other)
    assert sum(isinstance(module, QuickGELU) for module in other.modules()) == 2
    assert list(model.state_dict()) == list(other.state_dict())
    pixels = torch.randn(3, 3, 32, 32)
    for tower in (model, other):
        tower.vision_model(pixels).pooler_output.square().sum().backward()
    for (name, ours), theirs in zip(other.named_parameters(), model.parameters()):
        if theirs.grad is not None:
            assert torch.allclose(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6), name


def test_a_compiled_step_goes_back_through_a_checkpoint():
    layer, activation, inputs = torch.nn.Linear(3, 3), QuickGELU(), torch.randn(2, 3)
    encode = torch.compiler.disable(lambda x: activation(layer(x)))

    def step():
        layer.zero_grad()
        checkpoint(encode, inputs, use_reentrant=False).sum().backward()

    step()
    expected = layer.weight.grad.clone()
    torch.compile(step, backend='eager')()
    torch.testing.assert_close(layer.weight.grad, expected)
