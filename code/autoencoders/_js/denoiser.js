// A picture, the same with Gaussian noise, and what a denoising autoencoder makes of it; both networks run here.
export default {
  render({ model, el }) {
    const view = new View(el, model), shape = view.get("shape"), pixels = shape[0] * shape[1] * shape[2];
    const encode = buildNetwork(view.get("encoder"), view.bytes("encoder_weights"));
    const decode = buildNetwork(view.get("decoder"), view.bytes("decoder_weights"));
    const images = view.bytes("images"), count = images.length / pixels;
    const image = (i) => images.subarray(i * pixels, (i + 1) * pixels);

    const pictures = ["clean", "noisy", "denoised"].map((name) => view.picture({ label: name, shape, size: 230 }));
    const readings = view.readings(["MSE, noisy against clean", "MSE, denoised against clean"]);
    const slider = view.slider({
      label: "standard deviation \u03c3 of the noise", key: "noise", accent: "posterior", format: (v) => fixed(v),
      min: 0, max: view.get("largest"), step: view.get("largest") / 100,
    });
    view.body.append(
      view.gallery({ label: "picture", key: "image", count, shape, paint: image }),
      h("div", { class: "line" }, slider, view.button("New noise", () => view.change({ seed: view.get("seed") + 1 }))),
      h("div", { class: "pictures" }, pictures.map((picture) => picture.figure)),
      h("div", { class: "row" }, readings.table, h("div", { class: "grow" }, view.status)));

    let pattern = null, seeded = null;  // a seed is a noise pattern
    const clean = new Float32Array(pixels), noisy = new Float32Array(pixels);
    const mse = (values) => values.reduce((sum, value, i) => sum + (value - clean[i]) ** 2, 0) / pixels;
    return view.start(["noise", "image", "seed"], () => {
      const noise = view.get("noise"), chosen = view.get("image"), seed = view.get("seed"), x = image(chosen);
      if (seeded !== seed) { pattern = randomNumbers(seed).normals(pixels); seeded = seed; }
      for (let i = 0; i < pixels; i++) {
        clean[i] = x[i] / 255;
        noisy[i] = clean[i] + noise * pattern[i];
      }
      const restored = decode(encode(noisy)), errors = [mse(noisy), mse(restored)];
      [x, noisy, restored].forEach((values, i) => pictures[i].draw(values));
      pictures[0].describe(`clean picture ${chosen + 1}`, "clean x");
      pictures[1].describe(`with noise of standard deviation ${fixed(noise)}`, "x + \u03c3\u03b5");
      pictures[2].describe("what the denoising autoencoder makes of it", "g(f(x + \u03c3\u03b5))");
      readings.write(...errors.map((value) => significant(value, 3)));
      const ratio = errors[0] / errors[1], times = fixed(ratio, ratio < 10 ? 1 : 0);
      view.say(ratio > 1 ? `The output has ${times} times less squared error than the noisy input.`
        : "With this little noise the bottleneck costs more than the denoising gains.");
    });
  },
};
