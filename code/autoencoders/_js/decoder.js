// Runs what export.py packed: a chain of layers on Float32Arrays, images stored height x width x channel.

function halfToFloat(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

// One packed array as floats. int8 entries carry one scale an output channel, along their first or last axis.
function unpackArray(buffer, entry) {
  if (entry.dtype === "float32") return new Float32Array(buffer, entry.offset, entry.size);
  if (entry.dtype === "float16") {
    return Float32Array.from(new Uint16Array(buffer, entry.offset, entry.size), halfToFloat);
  }
  const scale = unpackArray(buffer, entry.scale), whole = new Int8Array(buffer, entry.offset, entry.size);
  const channels = scale.length, run = whole.length / channels, values = new Float32Array(whole.length);
  for (let i = 0; i < values.length; i++) values[i] = whole[i] * scale[entry.last ? i % channels : Math.floor(i / run)];
  return values;
}

function dense(layer, x, y) {
  const { weight, bias } = layer, inputs = layer.in;
  for (let o = 0, k = 0; o < y.length; o++) {
    let sum = bias ? bias[o] : 0;
    for (let i = 0; i < inputs; i++) sum += weight[k++] * x[i];
    y[o] = sum;
  }
}

// Transposed convolution: every input pixel adds its kernel, times its value, to the output. Zeros, of which a ReLU
// makes many, cost nothing.
function transposed(layer, x, y) {
  const { weight, bias, kernel, stride, padding } = layer;
  const [h, w, inputs] = layer.from, [height, width, outputs] = layer.to;
  for (let i = 0; i < y.length; i += outputs) for (let c = 0; c < outputs; c++) y[i + c] = bias ? bias[c] : 0;
  for (let i = 0; i < h * w * inputs; i++) {
    const value = x[i];
    if (value === 0) continue;
    const c = i % inputs, pixel = (i - c) / inputs, column = pixel % w, row = (pixel - column) / w;
    for (let ky = 0; ky < kernel; ky++) {
      const oy = row * stride + ky - padding;
      if (oy < 0 || oy >= height) continue;
      for (let kx = 0; kx < kernel; kx++) {
        const ox = column * stride + kx - padding;
        if (ox < 0 || ox >= width) continue;
        let k = ((c * kernel + ky) * kernel + kx) * outputs, o = (oy * width + ox) * outputs;
        for (const end = o + outputs; o < end; o++) y[o] += value * weight[k++];
      }
    }
  }
}

// The error function to 1.5e-7 (Abramowitz and Stegun 7.1.26).
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - tail * Math.exp(-x * x));
}

const ACTIVATIONS = {
  relu: (v) => (v > 0 ? v : 0),
  sigmoid: (v) => 1 / (1 + Math.exp(-v)),
  gelu: (v) => (v / 2) * (1 + erf(v * Math.SQRT1_2)),
  gelu_tanh: (v) => (v / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))),
};

// Each layer becomes a function of its input that owns its output array: no allocation while the reader drags.
function buildLayers(layers, buffer) {
  const steps = layers.map((packed) => {
    const layer = { ...packed };
    for (const name of ["weight", "bias"]) if (packed[name]) layer[name] = unpackArray(buffer, packed[name]);
    if (packed.op === "dense" || packed.op === "transposed") {
      const y = new Float32Array(packed.op === "dense" ? packed.out : packed.to.reduce((a, b) => a * b));
      const apply = packed.op === "dense" ? dense : transposed;
      return (x) => (apply(layer, x, y), y);
    }
    let y = new Float32Array(0);
    const sized = (x) => (y.length === x.length ? y : (y = new Float32Array(x.length)));
    if (packed.op === "residual") {
      const inner = buildLayers(packed.layers, buffer);
      return (x) => {
        const change = inner(x), out = sized(x);
        for (let i = 0; i < out.length; i++) out[i] = x[i] + change[i];
        return out;
      };
    }
    if (packed.op === "add") {
      const values = unpackArray(buffer, packed.values);
      return (x) => {
        const out = sized(x);
        for (let i = 0; i < out.length; i++) out[i] = x[i] + values[i];
        return out;
      };
    }
    const activate = ACTIVATIONS[packed.op];
    return (x) => {
      const out = sized(x);
      for (let i = 0; i < out.length; i++) out[i] = activate(x[i]);
      return out;
    };
  });
  return (x) => steps.reduce((value, step) => step(value), x);
}

// A network as a function Float32Array -> Float32Array; the result is overwritten by the next call.
function buildNetwork(manifest, bytes) {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const run = buildLayers(manifest.layers, buffer);
  run.shape = manifest.output;
  return run;
}
