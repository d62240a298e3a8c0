import pytest
import torch

from mmclip4clip.models.lora_weights import is_lora, merge_lora, without_fresh_lora
from mmclip4clip.models.weight_check import compare_shared, components


def weights(rank=2):
    torch.manual_seed(0)
    return {
        'backbone.q.weight': torch.randn(4, 3),
        'backbone.q.bias': torch.randn(4),
        'backbone.q.lora_A.weight': torch.randn(rank, 3),
        'backbone.q.lora_B.weight': torch.randn(4, rank),
        'backbone.q.lora_scaling': torch.tensor(1.5),
        'backbone.k.weight': torch.randn(4, 3),
    }


LORA = [key for key in weights() if 'lora' in key]


def test_the_merged_layer_computes_what_the_layer_with_lora_does():
    tensors, inputs = weights(), torch.randn(5, 3)
    merged = merge_lora(tensors)
    assert list(merged) == [key for key in tensors if key not in LORA]
    down, up = (inputs @ tensors[LORA[0]].T), tensors[LORA[1]].T
    expected = inputs @ tensors['backbone.q.weight'].T + 1.5 * (down @ up)
    torch.testing.assert_close(inputs @ merged['backbone.q.weight'].T, expected, rtol=0, atol=1e-5)
    assert torch.equal(merged['backbone.k.weight'], tensors['backbone.k.weight'])


def test_merging_changes_neither_its_input_nor_weights_without_lora():
    tensors = weights()
    before = tensors['backbone.q.weight'].clone()
    merge_lora(tensors)
    assert torch.equal(tensors['backbone.q.weight'], before)
    plain = {key: value.half() for key, value in tensors.items() if key not in LORA}
    assert merge_lora(plain) == plain


@pytest.mark.parametrize('key', ['backbone.q.weight', *LORA])
def test_incomplete_lora_is_refused_with_the_layer_and_the_shapes(key):
    tensors = weights()
    del tensors[key]
    part = key.removeprefix('backbone.q.')
    with pytest.raises(ValueError, match=rf"a.pth: the LoRA of backbone.q does not fit .*{part} \('missing"):
        merge_lora(tensors, 'a.pth')


@pytest.mark.parametrize('key, shape', zip(('backbone.q.weight', *LORA), [(4, 9), (3, 3), (4,), (1,)]))
def test_lora_of_another_shape_is_refused(key, shape):
    with pytest.raises(ValueError, match='does not fit its weight'):
        merge_lora({**weights(), key: torch.zeros(shape)})


def test_a_checkpoint_may_lack_lora_but_not_a_part_of_it():
    tensors = weights()
    plain = [key for key in tensors if not is_lora(key)]
    assert list(without_fresh_lora(tensors, plain)) == plain
    assert list(without_fresh_lora(tensors, [*plain, LORA[0]])) == list(tensors)


def test_lora_is_a_component_that_a_model_may_add_and_must_not_lose():
    tensors = weights()
    plain = {key: value for key, value in tensors.items() if not is_lora(key)}
    assert components(tensors) == {'backbone': list(plain), 'backbone (LoRA)': LORA}
    assert not compare_shared(tensors, tensors) and not compare_shared(tensors, plain)
    assert compare_shared(tensors, {**plain, LORA[0]: tensors[LORA[0]]}).missing == LORA[1:]
    lost = compare_shared(plain, tensors)
    assert lost.unexpected == LORA and 'give model.backbone.lora as in its training, or merge' in str(lost)
    assert compare_shared(tensors, weights(rank=3)).mismatched
