"""Two networks with opposed aims: each step moves one of them, and stopping and going on changes nothing."""

import pytest
import torch

from autoencoders import factor_vae, models, networks, objectives, recipes, training

SHAPE = (1, 8, 8)


def small_model(seed: int = 0) -> models.VAE:
    torch.manual_seed(seed)
    pair = networks.MLPEncoder(SHAPE, 4, (16,)), networks.MLPDecoder(SHAPE, 2, (16,))
    return models.VAE(*pair, models.ExpectedBernoulliPixels(), 2)


def discriminator(seed: int = 0) -> factor_vae.Discriminator:
    torch.manual_seed(100 + seed)
    return factor_vae.Discriminator(2, 16)


SETTINGS = dict(tc=5.0, epochs=3, batch_size=64, device="cpu")


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_the_discriminator_s_loss_gives_the_vae_no_gradient(images):
    """T12: a discriminator that reads attached codes would train the encoder to be told apart."""
    model, judge = small_model(), discriminator()
    factor_vae.discriminator_loss(model, judge, images[:64], torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in judge.parameters())


def test_the_vae_s_loss_reaches_the_encoder_through_the_discriminator(images):
    model, judge = small_model(), discriminator()
    terms = factor_vae.factor_terms(model, images[:64], torch.Generator().manual_seed(0), discriminator=judge, tc=5.0)
    bound = objectives.elbo_terms(model, images[:64], torch.Generator().manual_seed(0))
    torch.testing.assert_close(terms.distortion, bound.distortion)
    (terms.rate - bound.rate).sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.encoder.parameters())
    assert all(p.grad is None or not bool(p.grad.any()) for p in model.decoder.parameters())


def test_each_optimizer_moves_its_own_network_only(images, monkeypatch):
    """T12: with a learning rate of next to nothing for one of the two, the other alone moves."""
    for rates, moved in (((1e-12, 1e-2), (False, True)), ((1e-2, 1e-12), (True, False))):
        model, judge = small_model(), discriminator()
        before = weights(model), weights(judge)
        for _ in factor_vae.steps(
            model, images, discriminator=judge, learning_rate=rates[0], discriminator_rate=rates[1], **SETTINGS
        ):
            pass
        after = weights(model), weights(judge)
        found = tuple(bool((a - b).abs().max() > 1e-6) for a, b in zip(after, before, strict=True))
        assert found == moved


def test_the_gradient_that_the_vae_s_loss_leaves_in_the_discriminator_is_never_stepped(images, monkeypatch):
    """T12: a discriminator whose own loss is flat stays where it is, to the bit."""

    def flat(model, judge, x, generator):
        return 0 * weights_sum(judge)

    def weights_sum(judge):
        return torch.stack([p.sum() for p in judge.parameters()]).sum()

    monkeypatch.setattr(factor_vae, "discriminator_loss", flat)
    model, judge = small_model(), discriminator()
    before = weights(model), weights(judge)
    for _ in factor_vae.steps(model, images, discriminator=judge, **SETTINGS):
        pass
    assert torch.equal(weights(judge), before[1]) and not torch.equal(weights(model), before[0])


def test_the_discriminator_learns_the_density_ratio():
    """Correlated Gaussian codes: their total correlation, -log(1 - r^2) / 2, is what the log-odds average to."""
    torch.manual_seed(0)
    r, judge = 0.8, factor_vae.Discriminator(2, 32)
    optimizer = torch.optim.Adam(judge.parameters(), lr=5e-3)

    class AsItIs(torch.nn.Module):
        """Two pixels, and a log-variance so low that codes are the pictures."""

        def forward(self, x):
            return torch.cat([x.flatten(1), torch.full((len(x), 2), -100.0)], 1)

    model = models.VAE(AsItIs(), networks.MLPDecoder((1, 1, 2), 2), models.GaussianPixels(), 2)

    def draw(n, generator):
        e = torch.randn(n, 2, generator=generator)
        pairs = torch.stack([e[:, 0], r * e[:, 0] + (1 - r**2) ** 0.5 * e[:, 1]], 1)
        return pairs[:, None, None]

    generator = torch.Generator().manual_seed(1)
    for _ in range(400):
        optimizer.zero_grad()
        factor_vae.discriminator_loss(model, judge, draw(512, generator), generator).backward()
        optimizer.step()
    with torch.no_grad():
        estimate = judge(draw(20_000, generator).flatten(1)).mean().item()
    assert estimate == pytest.approx(-0.5 * torch.log(torch.tensor(1 - r**2)).item(), abs=0.08)


def test_equal_seeds_give_equal_bits_and_the_global_random_state_is_left_alone(images):
    runs = []
    for seed in (0, 0, 1):
        model, judge = small_model(), discriminator()
        before = torch.get_rng_state()
        factor_vae.fit(model, images, discriminator=judge, seed=seed, progress=False, **SETTINGS)
        assert torch.equal(before, torch.get_rng_state())
        runs.append(torch.cat([weights(model), weights(judge)]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(images, tmp_path):
    whole, judge = small_model(), discriminator()
    options = dict(validation=images[:50], **SETTINGS)
    history = factor_vae.fit(whole, images, discriminator=judge, progress=False, **options)
    for stop_after in (1, 5, 7):
        path = tmp_path / f"{stop_after}.safetensors"
        kept = dict(checkpoint=path, checkpoint_every=1, **options)
        run = factor_vae.steps(small_model(), images, discriminator=discriminator(), **kept)
        for _ in range(stop_after):
            next(run)
        resumed, other = small_model(seed=5), discriminator(seed=5)
        again = factor_vae.fit(resumed, images, discriminator=other, progress=False, **kept)
        assert torch.equal(weights(whole), weights(resumed)) and torch.equal(weights(judge), weights(other))
        strip = [[{k: v for k, v in r.items() if k != "seconds"} for r in h.records] for h in (history, again)]
        assert strip[0] == strip[1]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_weights(images):
    model, judge, kept = small_model(), discriminator(), []

    def spoil(now):
        kept.append((weights(model).clone(), weights(judge).clone()))
        with torch.no_grad():
            next(judge.parameters()).fill_(float("nan"))

    with pytest.raises(training.NonFiniteLoss, match=r"step 5 \(epoch 2\)"):
        factor_vae.fit(model, images, discriminator=judge, progress=False, callback=spoil, **SETTINGS)
    assert torch.equal(weights(model), kept[-1][0]) and torch.equal(weights(judge), kept[-1][1])


def test_one_picture_is_too_few_for_the_discriminator(images):
    with pytest.raises(ValueError, match="at least 2 pictures"):
        factor_vae.discriminator_loss(small_model(), discriminator(), images[:1])


@pytest.mark.parametrize("name", ["beta-vae-sprites", "tc-vae-sprites", "factor-vae-sprites"])
def test_the_recipes_of_the_sprites_train(name, monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    recipe = recipes.get(name)
    model, history = recipe.train(0, progress=False)
    again, _ = recipe.train(0, progress=False)
    assert isinstance(model, models.VAE) and torch.equal(weights(model), weights(again))
    assert history.last["step"] == 3 and history.last["validation_loss"] > 0
    assert len(recipe.dataset()) == 6 * 16 * 8
