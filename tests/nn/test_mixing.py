import torch

from seqloom.nn.mixing import ScalarMix


def test_layers_weigh_the_same_at_the_start():
    layers = torch.randn(3, 2, 5, 4)
    torch.testing.assert_close(ScalarMix(3)(layers.unbind()), layers.mean(0))


def test_layers_are_mixed_by_shares_times_the_scale():
    mix = ScalarMix(2)
    mix.load_state_dict({"weights": torch.tensor([0.0, 3.0]).log1p(), "scale": torch.tensor([10.0])})
    mixed = mix([torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])])
    torch.testing.assert_close(mixed, torch.tensor([2.0, 8.0]))
    mixed[0].backward()
    assert mix.weights.grad.any()
    assert mix.scale.grad == 0.2


def test_layers_are_mixed_in_half_precision_too():
    mix = ScalarMix(2)
    with torch.autocast("cpu", torch.bfloat16):
        layers = torch.nn.Linear(3, 4)(torch.randn(2, 5, 3)).unbind()
        mixed = mix(layers)
    assert layers[0].dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), torch.stack(layers).float().mean(0), atol=0.02, rtol=0.02)
