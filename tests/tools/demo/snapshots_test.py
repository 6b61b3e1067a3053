import torch

from torchstash.tools.demo.network import DigitsNetwork
from torchstash.tools.demo.snapshots import take_snapshot


def test_a_snapshot_keeps_ties_and_strides_and_does_not_change() -> None:
    network = DigitsNetwork()
    optimizer = torch.optim.AdamW(network.head.parameters())
    torch.autograd.backward(network(torch.rand(2, 1, 8, 8)).sum())
    optimizer.step()
    snapshot = take_snapshot(7, network, optimizer, torch.rand(3, 1, 8, 8))
    weight = snapshot["step-007/state/encoder.3.weight"]
    tied = snapshot["step-007/state/decoder.2.weight"]
    assert tied.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()
    assert not weight.is_contiguous()
    assert isinstance(weight, torch.nn.Parameter)
    assert snapshot["step-007/optimizer/head.bias/exp_avg"].shape == (10,)
    assert snapshot["step-007/activations/logits"].shape == (3, 10)
    before = weight.detach().clone()
    with torch.no_grad():
        network.get_parameter("encoder.3.weight").zero_()
    assert torch.equal(weight, before)


def test_the_decoder_gives_images_back() -> None:
    images = torch.rand(2, 1, 8, 8)
    assert DigitsNetwork().reconstruct(images).shape == images.shape
