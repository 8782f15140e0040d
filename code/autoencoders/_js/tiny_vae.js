// A variational autoencoder small enough to be trained in the page: its terms, their gradients written out, and Adam.
//
//   x -> encoder -> mean, raw       log_var = bounded(raw)       z = mean + exp(log_var / 2) * epsilon
//   z -> decoder -> logits          p(x|z): every pixel of x is 0 or 1, a Bernoulli with that logit
//   distortion = -log p(x|z)        rate = KL(q(z|x) || N(0, I))        minimized: distortion + beta * rate
//
// It is models.VAE with an MLPEncoder, an MLPDecoder and BernoulliPixels, number for number; the tests compare both.
// Terms are nats a picture, averaged over a batch. Nothing here knows of the page; random numbers are those of common.js.
// Batches are rows, one after another.

// Fully connected layers with ReLUs between them. Weights (outputs x inputs) and biases are windows into `theta`, the
// vector of all parameters, and their gradients windows into `gradient`, in PyTorch's order.
function makeLayers(sizes, theta, gradient, offset, rows) {
  return sizes.slice(1).map((outputs, l) => {
    const inputs = sizes[l], window = (vector, length) => vector.subarray(offset, offset + length);
    const layer = { inputs, outputs, hidden: l < sizes.length - 2, output: new Float64Array(rows * outputs) };
    [layer.weight, layer.weightGradient] = [theta, gradient].map((vector) => window(vector, inputs * outputs));
    offset += inputs * outputs;
    [layer.bias, layer.biasGradient] = [theta, gradient].map((vector) => window(vector, outputs));
    offset += outputs;
    layer.inputGradient = new Float64Array(rows * inputs);
    return layer;
  });
}

const countParameters = (sizes) => sizes.slice(1).reduce((sum, outputs, l) => sum + (sizes[l] + 1) * outputs, 0);

// `hidden` lists the encoder's hidden layers; the decoder mirrors them. `rows` is the largest batch.
function makeVAE({ pixels, hidden, latent, rows }) {
  const encoderSizes = [pixels, ...hidden, 2 * latent], decoderSizes = [latent, ...[...hidden].reverse(), pixels];
  const cut = countParameters(encoderSizes), count = cut + countParameters(decoderSizes);
  const theta = new Float64Array(count), gradient = new Float64Array(count);
  return {
    pixels, latent, theta, gradient,
    encoder: makeLayers(encoderSizes, theta, gradient, 0, rows),
    decoder: makeLayers(decoderSizes, theta, gradient, cut, rows),
    z: new Float64Array(rows * latent), codeGradient: new Float64Array(rows * 2 * latent),
    logitGradient: new Float64Array(rows * pixels),
    adam: { steps: 0, first: new Float64Array(count), second: new Float64Array(count) },
  };
}

// PyTorch's default: weights and biases uniform within 1 / sqrt(inputs).
function initialize(vae, { uniform }) {
  for (const { weight, bias, inputs } of [...vae.encoder, ...vae.decoder]) {
    const bound = 1 / Math.sqrt(inputs);
    for (const values of [weight, bias]) for (let k = 0; k < values.length; k++) values[k] = bound * (2 * uniform() - 1);
  }
  vae.adam.steps = 0;
  vae.adam.first.fill(0);
  vae.adam.second.fill(0);
}

// y = W x + b for every row, and max(y, 0) in hidden layers. Inputs and outputs are kept for the way back.
function forward(layers, x, rows) {
  for (const layer of layers) {
    const { inputs, outputs, weight, bias, hidden, output } = layer;
    layer.input = x;
    for (let n = 0; n < rows; n++) {
      const start = n * inputs;
      for (let o = 0, k = 0; o < outputs; o++) {
        let sum = bias[o];
        for (let i = 0; i < inputs; i++) sum += weight[k++] * x[start + i];
        output[n * outputs + o] = hidden && sum < 0 ? 0 : sum;
      }
    }
    x = output;
  }
  return x;
}

// The chain rule, from the last layer to the first: `change` is the gradient with respect to the last output; each layer
// adds to its weights' and biases' gradients and hands on the gradient with respect to its input, which is returned.
function backward(layers, change, rows) {
  for (const layer of [...layers].reverse()) {
    const { inputs, outputs, weight, weightGradient, biasGradient, hidden, input, output, inputGradient } = layer;
    inputGradient.fill(0, 0, rows * inputs);
    for (let n = 0; n < rows; n++) {
      const start = n * inputs;
      for (let o = 0; o < outputs; o++) {
        const at = n * outputs + o, slope = change[at];
        if (slope === 0 || (hidden && output[at] === 0)) continue;  // a ReLU that is off passes nothing back
        biasGradient[o] += slope;
        for (let i = 0, k = o * inputs; i < inputs; i++, k++) {
          weightGradient[k] += slope * input[start + i];
          inputGradient[start + i] += slope * weight[k];
        }
      }
    }
    change = inputGradient;
  }
  return change;
}

// distributions.bounded_log_var: s = L r / sqrt(L^2 + r^2), with L = 8 above zero and 12 below; and its slope.
function boundedLogVar(raw) {
  const limit = raw > 0 ? 8 : 12, x = raw / limit, inverse = 1 / Math.sqrt(1 + x * x);
  return { logVar: raw * inverse, slope: inverse ** 3 };
}

// The two terms of the negative ELBO for `rows` pictures `x` and standard normal `epsilon`, averaged over the rows, and in
// `vae.gradient` the gradient of distortion + beta * rate.
function elboAndGradient(vae, x, epsilon, rows, beta) {
  const { pixels, latent, z, codeGradient, logitGradient } = vae;
  vae.gradient.fill(0);
  const numbers = forward(vae.encoder, x, rows);  // of each row: the means, then the raw log-variances
  let rate = 0, distortion = 0;
  for (let n = 0; n < rows; n++) for (let j = 0; j < latent; j++) {
    const mean = numbers[2 * latent * n + j], { logVar } = boundedLogVar(numbers[2 * latent * n + latent + j]);
    rate += (Math.exp(logVar) + mean * mean - 1 - logVar) / 2;
    z[n * latent + j] = mean + Math.exp(logVar / 2) * epsilon[n * latent + j];
  }
  const logits = forward(vae.decoder, z, rows);
  for (let k = 0; k < rows * pixels; k++) {
    const logit = logits[k], tail = Math.exp(-Math.abs(logit));
    distortion += Math.max(logit, 0) + Math.log1p(tail) - x[k] * logit;  // log(1 + e^l) - x l, without overflow
    logitGradient[k] = ((logit > 0 ? 1 : tail) / (1 + tail) - x[k]) / rows;  // sigmoid(l) - x
  }
  const zGradient = backward(vae.decoder, logitGradient, rows);
  for (let n = 0; n < rows; n++) for (let j = 0; j < latent; j++) {
    const at = 2 * latent * n + j, mean = numbers[at], { logVar, slope } = boundedLogVar(numbers[at + latent]);
    const dz = zGradient[n * latent + j], deviation = Math.exp(logVar / 2);
    codeGradient[at] = dz + (beta * mean) / rows;
    const dLogVar = (dz * epsilon[n * latent + j] * deviation) / 2 + (beta * (deviation * deviation - 1)) / (2 * rows);
    codeGradient[at + latent] = dLogVar * slope;
  }
  backward(vae.encoder, codeGradient, rows);
  return { distortion: distortion / rows, rate: rate / rows };
}

// One step of Adam (Kingma and Ba 2015) with the usual constants.
function adamStep({ theta, gradient, adam }, learningRate) {
  const { first, second } = adam, steps = ++adam.steps;
  const step = learningRate / (1 - 0.9 ** steps), unbias = 1 / Math.sqrt(1 - 0.999 ** steps);
  for (let k = 0; k < theta.length; k++) {
    const g = gradient[k];
    first[k] += 0.1 * (g - first[k]);
    second[k] += 0.001 * (g * g - second[k]);
    theta[k] -= (step * first[k]) / (Math.sqrt(second[k]) * unbias + 1e-8);
  }
}

// Means and standard deviations of q(z|x), row after row.
function encodeRows(vae, x, rows) {
  const { latent } = vae, numbers = forward(vae.encoder, x, rows);
  const means = new Float64Array(rows * latent), deviations = new Float64Array(rows * latent);
  for (let n = 0; n < rows; n++) for (let j = 0; j < latent; j++) {
    means[n * latent + j] = numbers[2 * latent * n + j];
    deviations[n * latent + j] = Math.exp(boundedLogVar(numbers[2 * latent * n + latent + j]).logVar / 2);
  }
  return { means, deviations };
}

// The mean pictures of p(x|z): the probability of ink in every pixel.
const decodeRows = (vae, z, rows) =>
  Float64Array.from(forward(vae.decoder, z, rows).subarray(0, rows * vae.pixels), (l) => 1 / (1 + Math.exp(-l)));

// A run of training: weights, order of the pictures and epsilon are decided by the seed. `pictures` are rows of 0s and 1s.
function makeTraining(pictures, { pixels, hidden, latent, batch, rows, seed }) {
  const random = randomNumbers(seed), vae = makeVAE({ pixels, hidden, latent, rows: Math.max(batch, rows) });
  initialize(vae, random);
  const count = pictures.length / pixels, order = Uint32Array.from({ length: count }, (_, i) => i);
  const x = new Float64Array(batch * pixels), epsilon = new Float64Array(batch * latent);
  let place = count;
  const nextPicture = () => {
    if (place === count) {  // a new epoch, a new order (Fisher and Yates)
      for (let i = count - 1; i > 0; i--) {
        const j = Math.floor(random.uniform() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      place = 0;
    }
    return order[place++];
  };
  return {
    vae,
    update(beta, learningRate) {
      for (let n = 0; n < batch; n++) {
        const k = nextPicture();
        x.set(pictures.subarray(k * pixels, (k + 1) * pixels), n * pixels);
      }
      for (let k = 0; k < epsilon.length; k += 2) [epsilon[k], epsilon[k + 1]] = random.pair();
      const terms = elboAndGradient(vae, x, epsilon, batch, beta);
      adamStep(vae, learningRate);
      return terms;
    },
  };
}
