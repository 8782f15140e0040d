"""The claims that the book tests: what the five texts behind it say, and the experiment that can refute each.

The texts go by the letters of the appendix on coverage. `claims.judge` gives the verdict.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A statement of one of the texts, and the experiment that can refute it.

    Args:
        statement: what is claimed, in the book's words.
        source: the text's letter and section, as in the appendix on coverage.
        chapter: label of the chapter that has the experiment.
        experiment: what is trained on what, and compared how.
        effect: the quantity whose sign decides, with its unit.
        margin: effects up to this size count as none.
    """

    name: str
    statement: str
    source: str
    chapter: str
    experiment: str
    effect: str
    margin: float = 0.0


CLAIMS = {
    claim.name: claim
    for claim in (
        Claim(
            "ae-plane-off-center",
            "The codes of a two-latent autoencoder are not centered on the origin and leave gaps between the classes",
            "N",
            "ch-latent-space",
            "ae-digits-2 on 8,000 digits",
            "distance of the codes' median from the origin, in their standard deviations; share of their box that is gap",
            margin=0.1,
        ),
        Claim(
            "digits-beyond-mixture",
            "Handwritten digits are more complex than a mixture",
            "K",
            "ch-generative",
            "continuous against finite mixtures: VAEs (128 hidden units, 10 epochs) and mixtures of up to 300 Bernoulli "
            "components, all on 8,000 binarized digits",
            "log p(x) on 250 test digits, the VAE's (100 importance samples) less the best finite mixture's, nats a picture",
            margin=1.0,
        ),
        Claim(
            "prior-draws-wasted",
            "Estimating p(x) from draws of the prior is inefficient, and the more so the more latents there are",
            "G 2.1.1",
            "ch-generative",
            "2 and 20 latents: a linear-Gaussian model, and VAEs (128 hidden units, 10 epochs) on 100 binarized test digits",
            "log10 of the effective sample size with 2 latents over that with 20",
            margin=0.3,
        ),
        Claim(
            "metropolis-converges",
            "A Metropolis chain can be run until it samples the true posterior p(z|x): doable",
            "L",
            "ch-elbo",
            "vae-digits-2: 12 test digits, 20 chains each, from draws of the prior, 500 steps of 0.1",
            "0.05 less the share of chains that end outside the region with 99 % of the posterior (1 % would be right)",
        ),
        Claim(
            "squared-error-narrows-codes",
            "The squared error keeps the variance of a VAE's codes low",
            "N",
            "ch-gaussian-vae",
            "Gaussian VAEs of gray digits, the same network with five pixel variances c; the error weighs 1 / 2c",
            "mean log-variance of the test codes at the larger c less that at the smaller",
            margin=0.1,
        ),
        Claim(
            "ae-vae-separable",
            "A VAE's latent space separates the classes better than an autoencoder's",
            "L",
            "ch-training-vae",
            "autoencoders and VAEs with the same networks, 2 and 20 latents: classes read off the posterior means of test digits",
            "accuracy (neighbors, linear) or silhouette of the VAE's codes less that of the autoencoder's",
            margin=0.01,
        ),
        Claim(
            "vae-centered",
            "A VAE's codes are centered, with a spread of about one",
            "L",
            "ch-training-vae",
            "vae-digits-2 and vae-digits: a draw from q(z|x) for each training digit, against N(0, I)",
            "0.25 less the largest deviation of a coordinate's mean from 0, or of its standard deviation from 1",
        ),
        Claim(
            "score-function-noisier",
            "Score-function gradients have a higher variance than reparameterized ones",
            "G 2.3",
            "ch-score-function",
            "the encoder's gradient of one batch, one draw a picture: VAEs with 2, 10 and 40 latents, fresh and trained",
            "log10 of the score function's variance over the reparameterized one's",
        ),
        Claim(
            "ae-samples-worse",
            "Pictures decoded from N(0, I) are far worse for an autoencoder than for a VAE",
            "G 2.4.4",
            "ch-generation",
            "autoencoder and VAE, 10 latents, 25 epochs of 8,000 digits: share of 1,000 samples read with p > 0.9",
            "the share from the VAE's prior less the autoencoder's",
            margin=0.05,
        ),
        Claim(
            "more-epochs-better-samples",
            "Samples are better after 25 epochs than after 5",
            "G 2.4.4",
            "ch-generation",
            "autoencoder and VAE, 10 latents, 5 and 25 epochs of 8,000 digits: share of 1,000 samples read with p > 0.9",
            "the share after 25 epochs less that after 5",
            margin=0.01,
        ),
        Claim(
            "ae-reconstructs-better",
            "An autoencoder reconstructs better than a VAE",
            "G 2.4.1",
            "ch-ablations",
            "the same networks with and without the KL term, several numbers of latents: MSE a pixel on test digits",
            "log of the VAE's error over the autoencoder's",
            margin=0.01,
        ),
        Claim(
            "smaller-weight-reconstructs-better",
            "A smaller KL weight gives better reconstructions",
            "G 2.4.1",
            "ch-ablations",
            "VAEs that differ in the weight of the KL term: MSE a pixel on test digits",
            "log of the error at the next larger weight over the error at this one",
            margin=0.01,
        ),
        Claim(
            "latent-size-no-effect",
            "The number of latents has no clear effect on the reconstructions",
            "G 2.4.1",
            "ch-ablations",
            "autoencoders and VAEs with few and with many latents: MSE a pixel on test digits",
            "0.1 less the absolute log of the ratio of the two errors",
        ),
        Claim(
            "vae-denoises-better",
            "A VAE removes noise better than an autoencoder, the more so the more noise there is",
            "G 2.4.3",
            "ch-ablations",
            "autoencoder and VAE trained to denoise at 0.25, 0.5 and 0.75: MSE a pixel on test digits",
            "log of the autoencoder's error over the VAE's",
            margin=0.01,
        ),
        Claim(
            "features-cluster-by-class",
            "A VAE's features of one class are clustered together",
            "L",
            "ch-representation",
            "vae-digits and raw pixels, 1,000 test digits: ten neighbors in a t-SNE map and in the codes; k-means, 10 clusters",
            "share of neighbors with one's own class, or clustering accuracy: the VAE's codes less raw pixels",
            margin=0.02,
        ),
        Claim(
            "features-save-labels",
            "Good features can be read by a simple classifier with fewer labels",
            "L",
            "ch-representation",
            "ae-digits-16, vae-digits, an autoencoder with its layers: logistic regression on codes and pixels, the same labels",
            "accuracy on 1,000 test digits from the code less that from raw pixels",
            margin=0.01,
        ),
        Claim(
            "straight-lines-stay",
            "Straight lines between two codes stay on meaningful pictures",
            "L",
            "ch-representation",
            "three autoencoders: middles of 300 pairs of test digits of one class that differ most in slant, read with p > 0.9",
            "0.1 less what is lost: the share of decoded ends read as their class less that of decoded middles",
        ),
        Claim(
            "depth-helps-class",
            "Depth helps to induce the hierarchy that pictures have",
            "L",
            "ch-representation",
            "encoder of ae-digits-16 and a classifier: logistic regression with 1,000 labels on the numbers after every layer",
            "accuracy on 1,000 test digits after the layer less that on raw pixels",
            margin=0.01,
        ),
        Claim(
            "metrics-agree-mildly",
            "Metrics of disentanglement agree mildly with one another",
            "L",
            "ch-metrics",
            "five metrics (all but modularity) on the models of one seed of the population named disentanglement",
            "how far the median rank correlation of two metrics lies inside the range from 0.2 to 0.8",
        ),
        Claim(
            "disentangled-label-efficient",
            "Higher disentanglement helps label efficiency",
            "L",
            "ch-metrics",
            "six metrics on the models of one seed of the population named disentanglement; factors read off the codes by a "
            "logistic regression and by boosted trees",
            "median over metrics of the rank correlation with accuracy at 100 labels over accuracy at 10,000",
            margin=0.2,
        ),
        Claim(
            "outputs-grow-without-commitment",
            "Without the commitment loss the outputs of a VQ-VAE's encoder grow",
            "G 3.2.3",
            "ch-straight-through",
            "small VQ-VAEs of 8,000 digits, 300 steps, 128 codes: commitment weights 0 and 0.25",
            "log10 of the outputs' root mean square without commitment over that with it, test digits",
            margin=0.3,
        ),
        Claim(
            "codebook-grows-without-commitment",
            "Without the commitment loss the codebook of a VQ-VAE grows",
            "N",
            "ch-straight-through",
            "small VQ-VAEs of 8,000 digits, 300 steps, 128 codes: commitment weights 0 and 0.25",
            "log10 of the root mean square of the codes in use without commitment over that with it, test digits",
            margin=0.3,
        ),
        Claim(
            "vq-loss-higher",
            "The VQ-VAE's loss is higher than the autoencoder's and the VAE's",
            "G 3.3.1",
            "ch-vqvae",
            "AE, VAE and VQ-VAE with the same networks on digits, at several rates: the part that their losses share, test MSE",
            "log of the VQ-VAE's error over the other model's",
            margin=0.05,
        ),
        Claim(
            "reconstruction-order",
            "Reconstructions are best from the autoencoder, then from the VQ-VAE, then from the VAE",
            "G 3.3.2",
            "ch-vqvae",
            "AE, VAE and VQ-VAE with the same networks on digits, at several rates: test MSE a pixel",
            "log of the error of the second of the pair over that of the first",
            margin=0.05,
        ),
        Claim(
            "vq-sharper",
            "A VQ-VAE's reconstructions have sharper edges than a VAE's",
            "G 3.3.2",
            "ch-vqvae",
            "VAE and VQ-VAE on digits, at two rates of the VAE: energy of the Laplacian of reconstructed test images",
            "log of the VQ-VAE's mean energy over the VAE's",
            margin=0.05,
        ),
        Claim(
            "ica-identifiable",
            "A linear model whose latents are independent and not Gaussian is identifiable, and learned efficiently",
            "L",
            "ch-disentanglement",
            "FastICA on three sounds in three random mixtures, two seconds at 8 kHz",
            "correlation of the worst recovered source with the true one, less 0.99",
        ),
        Claim(
            "beta-disentangles",
            "More weight on the KL term of a VAE gives a more disentangled code",
            "L",
            "ch-disentanglement",
            "population named disentanglement, 768 hearts with three factors: five seeds with weight 2.5 and with weight 1",
            "mutual information gap (means of q, 20 bins) with the larger weight less that with weight 1",
            margin=0.05,
        ),
        Claim(
            "rotation-entangles",
            "Latents can be turned so that the model of the data stays the same and the code is entangled",
            "L",
            "ch-disentanglement",
            "the best by MIG of three beta-vae-sprites, its latents and posteriors turned by three random rotations",
            "mutual information gap before less after the rotation, where the ELBO changes by less than a millionth",
            margin=0.05,
        ),
        Claim(
            "uniform-codes-garbage",
            "Codes drawn uniformly decode to garbage",
            "G 3.2.4, N",
            "ch-priors",
            "vqvae-digits: share of 1,000 samples read with p > 0.9; one judge has seen scrambled digits too",
            "0.25 less the share for uniform codes",
        ),
        Claim(
            "prior-does-not-overfit",
            "Neither the prior nor the decoder overfits",
            "L",
            "ch-measuring",
            "vqvae-digits and pixelcnn-digits: the prior's bits a code and the decoder's MSE, on training and on test digits",
            "0.05 less the relative gap between test and training",
        ),
        Claim(
            "collapse-from-discreteness",
            "A Gaussian code collapses on pictures because these are drawn from a discrete distribution",
            "G 3",
            "ch-collapse",
            "VAEs of black-and-white digits, 7 x 7: the same code, with a decoder that sees earlier pixels and one that does not",
            "0.5 nats less the mutual information of a test picture and its code",
        ),
        Claim(
            "whole-image-symbols",
            "One symbol for a whole image gives an emergent classification of whole images",
            "L",
            "ch-symbols",
            "VQ-VAEs of digits with one of ten codes a picture; each code named by one class in the best possible way",
            "the share of test digits whose code has the name of their class, less 0.9",
        ),
        Claim(
            "symbols-forget-less",
            "With symbols, less of a first task is forgotten when a second one is learned",
            "L",
            "ch-symbols",
            "a linear classifier on vqvae-digits, frozen, trained on digits, then on digits inverted or turned by 90 degrees",
            "accuracy on the first task afterwards, less that of a classifier that reads the continuous map",
            margin=0.05,
        ),
        Claim(
            "embeddings-stay",
            "The embedding of a task-specific symbol does not change when training on a different task",
            "L",
            "ch-symbols",
            "vqvae-digits trained on gray emoji, 60 steps: codes ten times as common in digits as in emoji",
            "0.05 less the mean distance they moved, in units of the codes' mean distance from their center",
        ),
        Claim(
            "domain-symbols-transfer",
            "Exchanging the symbols and keeping all other parameters improves transfer to another domain",
            "L",
            "ch-symbols",
            "networks of vqvae-digits on other pictures, with the digits' codebook and with one fitted to 200 of them",
            "log of the test error with the digits' codebook over that with the new one",
            margin=0.05,
        ),
    )
}
