import pytest
import torch

from models.vocoder.hifigan.discriminators import HiFiGANDiscriminator
from models.vocoder.hifigan.loss import adversarial_loss, discriminator_loss, feature_matching_loss


def scores(*values: float) -> list[torch.Tensor]:
    """Scores of two sub-discriminators with other numbers of them, all of one value each."""
    return [torch.full((2, 7 + i), value) for i, value in enumerate(values)]


def test_a_perfect_discriminator_has_no_loss_and_one_taken_in_has_one_each():
    assert discriminator_loss(scores(1, 1), scores(0, 0)) == 0
    assert discriminator_loss(scores(0, 0), scores(1, 1)) == 4
    assert discriminator_loss(scores(0.5, 0.5), scores(0.5, 0.5)) == 1
    assert discriminator_loss(scores(1, 0), scores(0, 0)) == 1


def test_the_generator_wants_scores_of_one():
    assert adversarial_loss(scores(1, 1)) == 0
    assert adversarial_loss(scores(0, 0)) == 2
    assert adversarial_loss(scores(3, 1)) == 4


def test_gradients_pull_to_the_targets():
    real, fake = [torch.zeros(1, 3, requires_grad=True)], [torch.ones(1, 3, requires_grad=True)]
    discriminator_loss(real, fake).backward()
    assert (real[0].grad < 0).all() and (fake[0].grad > 0).all()


def test_features_are_compared_by_the_mean_of_a_layer_and_the_sum_of_layers():
    real = [[torch.zeros(2, 3, 1, 4), torch.zeros(1, 1, 1, 1)], [torch.zeros(5, 5, 5, 5)]]
    fake = [[torch.full((2, 3, 1, 4), 0.5), torch.full((1, 1, 1, 1), -2.0)], [torch.full((5, 5, 5, 5), 0.25)]]
    assert feature_matching_loss(real, real) == 0
    assert feature_matching_loss(real, fake) == 2.75


def test_no_gradient_flows_into_the_recordings_features():
    real, fake = torch.zeros(1, 2, 1, 3, requires_grad=True), torch.ones(1, 2, 1, 3, requires_grad=True)
    feature_matching_loss([[real]], [[fake]]).backward()
    assert real.grad is None
    torch.testing.assert_close(fake.grad, torch.full((1, 2, 1, 3), 1 / 6))


def test_features_that_do_not_fit_are_refused():
    one, other = torch.zeros(1, 2, 1, 3), torch.zeros(2, 2, 1, 3)  # would be broadcast
    with pytest.raises(ValueError, match="same shapes"):
        feature_matching_loss([[one]], [[other]])
    with pytest.raises(ValueError):
        feature_matching_loss([[one, one]], [[one]])
    with pytest.raises(ValueError):
        feature_matching_loss([[one], [one]], [[one]])


def test_mixed_precision_sums_in_float32():
    model = HiFiGANDiscriminator((2,), (4, 8, 8, 8, 8), 1, (16,) * 7).eval()
    real, fake = torch.randn(2, 2, 1, 400)
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled):
            (real_scores, real_features), (fake_scores, fake_features) = model(real), model(fake)
            results.append(
                [
                    discriminator_loss(real_scores, fake_scores),
                    adversarial_loss(fake_scores),
                    feature_matching_loss(real_features, fake_features),
                ]
            )
    for exact, mixed in zip(*results, strict=True):
        assert mixed.dtype == torch.float32 and mixed.dim() == 0
        torch.testing.assert_close(mixed, exact, rtol=0.02, atol=0.02)


def test_a_discriminator_learns_to_tell_noise_from_tones():
    model = HiFiGANDiscriminator((2, 3), (4, 8, 8, 8, 8), 2, (16,) * 7)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3, (0.8, 0.99))
    time, losses = torch.arange(400) / 22050, []
    for _ in range(12):
        tones = 0.3 * torch.sin(2 * torch.pi * (100 + 300 * torch.rand(4, 1, 1)) * time)
        found, _ = model(torch.cat([tones, 0.3 * torch.randn(4, 1, 400)]))
        loss = discriminator_loss([score[:4] for score in found], [score[4:] for score in found])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 3 and losses[-1] < 0.6 * losses[0]
