// What every widget shares: palette and theme, controls that read and write the model, canvases, axes, pictures.
// A widget builds a View, adds controls and canvases to it, and gives it one draw function.

const COLORS = {
  light: {
    data: "#56B4E9", encoder: "#0072B2", latent: "#E69F00", decoder: "#009E73", prior: "#8C8C8C", posterior: "#D55E00",
    codebook: "#CC79A7", ink: "#1b1f24", muted: "#57606a", line: "#d3d9e0", grid: "#edf0f3", paper: "#ffffff",
    well: "#f4f6f8", blank: "#ffffff", full: "#111418", hollow: "#e3e7ec",
  },
  dark: {
    data: "#7CC7F2", encoder: "#58A6DB", latent: "#F2B441", decoder: "#3CC79A", prior: "#A8A8A8", posterior: "#F28B4C",
    codebook: "#DE9BC0", ink: "#e8ebef", muted: "#a7b0bb", line: "#3b434e", grid: "#272e37", paper: "#171c23",
    well: "#20262f", blank: "#0c1015", full: "#f4f6f8", hollow: "#2a323d",
  },
};
const NAMED = ["data", "encoder", "latent", "decoder", "prior", "posterior", "codebook"];
// Ten classes, the colors of figures.py; glyphs say what a color-blind reader cannot see.
const CLASS_COLORS = {
  light: ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#6A3D9A", "#8C8C8C", "#A6CE39", "#4D2C1D"],
  dark: ["#3F9BD8", "#F2B441", "#2FB98C", "#E3A4C6", "#9AD6F7", "#F0803C", "#A88BE0", "#A8A8A8", "#C3E05A", "#B98A72"],
};

const STYLE = `
:host { display: block; margin: 0 0 1rem; }
* { box-sizing: border-box; }
.view { max-width: 760px; padding: 16px; border: 1px solid var(--line); border-radius: 10px; background: var(--paper);
  color: var(--ink); font-family: var(--font); font-size: 15px; line-height: 1.45; text-align: left; }
.row { display: flex; flex-wrap: wrap; gap: 16px 24px; align-items: flex-start; }
.row > * { min-width: 0; }
.tight { gap: 8px 12px; align-items: center; }
.center { align-items: center; }
.stack { display: flex; flex-direction: column; gap: 12px; }
.grow { flex: 1 1 220px; }
.pictures { display: flex; gap: 16px; }
.line { display: flex; gap: 12px; align-items: center; }
.line .slider { flex: 1 1 0; min-width: 0; }
.line button { flex: none; }
p { margin: 0; }
.hint { margin-top: 12px; padding-top: 10px; border-top: 1px solid var(--line); }
.status { color: var(--muted); font-size: 14px; min-height: 1.45em; }
.label { display: flex; justify-content: space-between; gap: 12px; font-size: 14px; }
output, .number { font-variant-numeric: tabular-nums; font-weight: 600; white-space: nowrap; }
.slider { display: block; }
input[type=range] { appearance: none; -webkit-appearance: none; display: block; width: 100%; height: 28px; margin: 0;
  background: none; cursor: pointer; touch-action: pan-y; border-radius: 6px; --knob: var(--accent, var(--encoder));
  --track: linear-gradient(to right, var(--knob) var(--filled), var(--hollow) var(--filled)); }
input[type=range]::-webkit-slider-runnable-track { height: 6px; border-radius: 3px; background: var(--track); }
input[type=range]::-moz-range-track { height: 6px; border-radius: 3px; background: var(--track); }
input[type=range]::-webkit-slider-thumb { -webkit-appearance: none; width: 20px; height: 20px; margin-top: -7px;
  border: 2px solid var(--paper); border-radius: 50%; background: var(--knob); box-shadow: 0 0 0 1px var(--muted); }
input[type=range]::-moz-range-thumb { width: 16px; height: 16px; border: 2px solid var(--paper); border-radius: 50%;
  background: var(--knob); box-shadow: 0 0 0 1px var(--muted); }
button { min-height: 34px; padding: 4px 14px; font: inherit; font-size: 14px; color: var(--ink); cursor: pointer;
  background: var(--well); border: 1px solid var(--line); border-radius: 7px; }
button:hover:not(:disabled) { border-color: var(--muted); }
button:disabled { color: var(--muted); cursor: default; }
button.main { min-width: 84px; font-weight: 600; }
button.main:not(:disabled) { color: var(--paper); background: var(--ink); border-color: var(--ink); }
button.square { min-width: 36px; padding: 4px 0; text-align: center; }
button.chip { display: inline-flex; gap: 5px; align-items: center; min-height: 26px; padding: 1px 8px 1px 5px;
  font-size: 13px; background: none; }
button.chip[aria-pressed=true] { border-color: var(--ink); background: var(--well); }
.dot { width: 11px; height: 11px; border-radius: 50%; flex: none; }
.bar { width: 14px; height: 4px; border-radius: 2px; flex: none; }
.key { display: inline-flex; align-items: center; gap: 6px; font-size: 14px; }
fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
legend { padding: 0; margin-bottom: 6px; font-size: 14px; float: none; width: auto; line-height: inherit; }
.options { display: inline-flex; flex-wrap: wrap; gap: 4px; }
.options label { position: relative; display: block; cursor: pointer; }
.options input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.options label span { display: block; padding: 5px 12px; font-size: 14px; background: var(--well);
  border: 1px solid var(--line); border-radius: 7px; }
.options input:checked + span { background: var(--ink); color: var(--paper); border-color: var(--ink); }
.options canvas { display: block; width: 44px; height: auto; border: 1px solid var(--line); border-radius: 4px; }
.options input:checked + canvas { box-shadow: 0 0 0 3px var(--encoder); border-color: transparent; }
figure { margin: 0; }
figcaption { margin-top: 4px; font-size: 13px; color: var(--muted); }
canvas { display: block; }
.picture { width: 100%; height: auto; image-rendering: pixelated; border: 1px solid var(--line); border-radius: 4px; }
.plot { width: 100%; }
.pad { touch-action: none; cursor: crosshair; border-radius: 4px; }
table { border-collapse: collapse; font-size: 14px; }
th { font-weight: 400; text-align: left; padding: 2px 16px 2px 0; }
td { padding: 2px 0; text-align: right; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.steady td { min-width: 6ch; }
:focus-visible, .options input:focus-visible + * { outline: 3px solid var(--latent); outline-offset: 2px; }
`;

// An element with attributes and children: h("p", { class: "hint" }, "Try ...").
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
}

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

// Numbers as the text prints them: a true minus sign, a fixed number of digits.
const fixed = (value, digits = 2) => value.toFixed(digits).replace(/^-(0(?:\.0*)?)$/, "$1").replace("-", "\u2212");
const significant = (value, digits = 2) => (value === 0 ? "0" : Math.abs(value) >= 1e-4
  ? fixed(value, clamp(digits - 1 - Math.floor(Math.log10(Math.abs(value))), 0, 6))
  : value.toExponential(1).replace("-", "\u2212"));

// Random numbers from a seed, of which `stream` makes another sequence (mulberry32): uniform ones, never 0 and never 1,
// pairs of independent standard normal ones (Box and Muller), and `normals(count)`, the first of each of so many pairs.
function randomNumbers(seed, stream = 0) {
  let state = (Math.imul(seed, 2654435761) + 40503 * stream + 12345) >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  const pair = () => {
    const radius = Math.sqrt(-2 * Math.log(uniform())), angle = 2 * Math.PI * uniform();
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  };
  return { uniform, pair, normals: (count) => Float64Array.from({ length: count }, () => pair()[0]) };
}

function isDark() {
  const html = document.documentElement, body = document.body;
  if (html.dataset.theme) return html.dataset.theme === "dark";
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (body.dataset.vscodeThemeKind) return body.dataset.vscodeThemeKind.includes("dark");
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

class View {
  constructor(el, model) {
    this.el = el;
    this.model = model;
    this.stopped = new AbortController();
    this.controls = [];
    this.plots = [];
    this.body = h("div", { class: "stack" });
    this.status = h("p", { class: "status", role: "status" });
    this.root = h("div", { class: "view", role: "group", "aria-label": model.get("label") }, this.body,
      h("p", { class: "hint" }, model.get("hint")));
    // JupyterLab otherwise takes the arrow keys, Enter and letters for its own commands.
    const place = h("div", { "data-lm-suppress-shortcuts": "" }), shadow = place.attachShadow({ mode: "open" });
    shadow.append(h("style", {}, STYLE), this.root);
    el.append(place);
    this.close = () => { this.stopped.abort(); place.remove(); };
  }

  listen(target, type, handler, options = {}) {
    target.addEventListener(type, handler, { ...options, signal: this.stopped.signal });
  }

  whenClosed(action) { this.stopped.signal.addEventListener("abort", action, { once: true }); }

  // Draw now, and again when the named values, the theme or the width change.
  start(keys, draw) {
    this.drawAll = () => {
      for (const control of this.controls) control();
      draw();
    };
    const changed = () => { if (!this.changing) this.drawAll(); };
    for (const key of keys) {
      this.model.on(`change:${key}`, changed);
      this.whenClosed(() => this.model.off(`change:${key}`, changed));
    }
    const themed = () => { this.readTheme(); this.drawAll(); };
    const themes = new MutationObserver(themed);
    const attributes = ["data-theme", "data-jp-theme-light", "data-vscode-theme-kind", "class"];
    for (const node of [document.documentElement, document.body]) themes.observe(node, { attributeFilter: attributes });
    this.listen(matchMedia("(prefers-color-scheme: dark)"), "change", themed);
    const sizes = new ResizeObserver(() => { if (this.plots.map((plot) => plot.fit()).some(Boolean)) this.drawAll(); });
    for (const plot of this.plots) sizes.observe(plot.canvas);
    this.whenClosed(() => { themes.disconnect(); sizes.disconnect(); });
    this.readTheme();
    for (const plot of this.plots) plot.fit();
    this.drawAll();
    return this.close;
  }

  readTheme() {
    this.dark = isDark();
    const theme = this.dark ? "dark" : "light", style = getComputedStyle(this.el);
    this.color = { ...COLORS[theme], classes: CLASS_COLORS[theme] };
    for (const name of NAMED) {
      const value = style.getPropertyValue(`--ae-${name}`).trim();
      if (/^#[0-9a-f]{6}$/i.test(value)) this.color[name] = value;
    }
    this.font = style.fontFamily || "system-ui, sans-serif";
    for (const [name, value] of Object.entries(this.color)) {
      if (name !== "classes") this.root.style.setProperty(`--${name}`, value);
    }
    this.root.style.setProperty("--font", this.font);
    this.root.style.colorScheme = theme;
  }

  // The reader's doing: set values, draw once, tell Python, and report how long the drawing took.
  change(values) {
    const began = performance.now();
    this.changing = true;
    for (const [key, value] of Object.entries(values)) this.model.set(key, value);
    this.changing = false;
    this.drawAll();
    const took = performance.now() - began;
    this.model.save_changes();
    this.el.dispatchEvent(new CustomEvent("ae-drawn", { detail: took, bubbles: true }));
  }

  // One sentence on the state, below the figure; spoken when the reader pauses.
  say(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => { if (this.status.textContent !== text) this.status.textContent = text; }, 120);
  }

  get(key) { return this.model.get(key); }

  bytes(key) {
    const view = this.model.get(key);
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  }

  // A labeled native slider. `values` makes it move over a list; otherwise min, max and step.
  slider({ label, key, values, min = 0, max = 1, step = 0.01, format = String, read, write, accent }) {
    read ??= () => this.get(key);
    write ??= (value) => this.change({ [key]: value });
    const output = h("output");
    const attributes = values ? { min: 0, max: values.length - 1, step: 1 } : { min, max, step };
    const input = h("input", { type: "range", "aria-label": label, ...attributes });
    if (accent) input.style.setProperty("--accent", `var(--${accent})`);
    this.listen(input, "input", () => write(values ? values[+input.value] : +input.value));
    this.controls.push(() => {
      const value = read();
      input.value = values ? values.indexOf(value) : value;
      input.style.setProperty("--filled", `${(100 * (input.value - input.min)) / (input.max - input.min || 1)}%`);
      output.textContent = format(value);
      input.setAttribute("aria-valuetext", format(value));
    });
    const text = h("span", { "aria-hidden": "true" }, label);
    return h("div", { class: "slider" }, h("div", { class: "label" }, text, output), input);
  }

  button(text, action, { label, square, disabled } = {}) {
    const button = h("button", { type: "button", "aria-label": label, class: square ? "square" : undefined }, text);
    this.listen(button, "click", action);
    if (disabled) this.controls.push(() => { button.disabled = disabled(); });
    return button;
  }

  // A choice among a few: native radio buttons that look like a switch, or like the pictures they stand for.
  choice({ label, key, options, pictures, hideLabel = false, write }) {
    write ??= (value) => this.change({ [key]: value });
    const name = `choice-${View.count = (View.count ?? 0) + 1}`;
    const inputs = options.map(() => h("input", { type: "radio", name }));
    const labels = options.map(([value, text], i) => {
      this.listen(inputs[i], "change", () => write(value));
      if (pictures) inputs[i].setAttribute("aria-label", text);
      return h("label", {}, inputs[i], pictures ? pictures[i] : h("span", {}, text));
    });
    this.controls.push(() => options.forEach(([value], i) => { inputs[i].checked = value === this.get(key); }));
    const legend = hideLabel ? [] : [h("legend", {}, label)];
    return h("fieldset", hideLabel ? { "aria-label": label } : {}, ...legend, h("div", { class: "options" }, labels));
  }

  // A button for each class among `labels`, to single that class out; `chosen()` is the one in that state, or null.
  classChips(labels) {
    const names = this.get("classes"), glyphs = this.get("glyphs");
    let chosen = null;
    const chips = names.map((_, k) => k).filter((k) => labels.includes(k)).map((k) => {
      const mark = h("span", { class: "dot", "aria-hidden": "true" });
      const chip = h("button", { type: "button", class: "chip", "aria-label": `single out ${names[k]}` }, mark,
        glyphs[k] === names[k] ? glyphs[k] : `${glyphs[k]} ${names[k]}`);
      this.listen(chip, "click", () => { chosen = chosen === k ? null : k; this.drawAll(); });
      this.controls.push(() => {
        mark.style.background = this.color.classes[k % 10];
        chip.setAttribute("aria-pressed", chosen === k);
      });
      return chip;
    });
    return { group: h("div", { class: "options", role: "group", "aria-label": "classes" }, chips), chosen: () => chosen };
  }

  // A table of named readings; `write` fills in their values.
  readings(names) {
    const cells = names.map(() => h("td"));
    const rows = names.map((name, i) => h("tr", {}, h("th", { scope: "row" }, name), cells[i]));
    return {
      table: h("table", {}, h("tbody", {}, rows)),
      write: (...values) => values.forEach((value, i) => { cells[i].textContent = value; }),
    };
  }

  // Thumbnails of n stored pictures, one of which is chosen.
  gallery({ label, key, count, paint, shape }) {
    const pictures = Array.from({ length: count }, () => h("canvas", { width: shape[1], height: shape[0] }));
    this.controls.push(() => {
      if (this.galleryTheme === this.dark) return;
      this.galleryTheme = this.dark;
      pictures.forEach((canvas, i) => this.paint(canvas, shape, paint(i)));
    });
    const options = pictures.map((_, i) => [i, `picture ${i + 1} of ${count}`]);
    return this.choice({ label, key, options, pictures });
  }

  // A canvas that fills its column, as sharp as the screen; `height` is a number or a function of the width.
  plot({ label, height, role = "img", className = "plot" }) {
    const canvas = h("canvas", { class: className, role, "aria-label": label, width: 1, height: 1 });
    const plot = { canvas, context: canvas.getContext("2d"), width: 0, height: 0 };
    plot.fit = () => {
      const width = canvas.clientWidth, tall = typeof height === "function" ? height(width) : height;
      const scale = devicePixelRatio || 1;
      if (!width || (plot.width === width && plot.height === tall && plot.scale === scale)) return false;
      Object.assign(plot, { width, height: tall, scale });
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(tall * scale);
      canvas.style.height = `${tall}px`;
      return true;
    };
    plot.begin = () => {
      plot.context.setTransform(plot.scale ?? 1, 0, 0, plot.scale ?? 1, 0, 0);
      plot.context.clearRect(0, 0, plot.width, plot.height);
      return plot.context;
    };
    plot.describe = (text) => canvas.setAttribute("aria-label", text);
    this.plots.push(plot);
    return plot;
  }

  // A canvas the reader drags a point over; also with the arrow keys. `toValue` maps pixels to the model's pair.
  pad({ label, key, height, step, toValue, range, say }) {
    const plot = this.plot({ label, height, role: "slider", className: "plot pad" });
    const { canvas } = plot;
    canvas.tabIndex = 0;
    canvas.setAttribute("aria-roledescription", "two-dimensional slider");
    const move = ([x, y]) => {
      const [[left, right], [bottom, top]] = range();
      this.change({ [key]: [clamp(x, left, right), clamp(y, bottom, top)] });
    };
    const follow = (event) => {
      const box = canvas.getBoundingClientRect();
      move(toValue(event.clientX - box.left, event.clientY - box.top));
    };
    this.listen(canvas, "pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); follow(event); });
    this.listen(canvas, "pointermove", (event) => { if (event.buttons) follow(event); });
    this.listen(canvas, "keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const far = step() * (event.shiftKey ? 5 : 1), now = this.get(key);
      move([now[0] + way[0] * far, now[1] + way[1] * far]);
    });
    this.controls.push(() => {
      const [[left, right]] = range();
      canvas.setAttribute("aria-valuemin", left);
      canvas.setAttribute("aria-valuemax", right);
      canvas.setAttribute("aria-valuenow", this.get(key)[0]);
      canvas.setAttribute("aria-valuetext", say(this.get(key)));
    });
    return plot;
  }

  // A picture with a caption; `draw(values)` paints it.
  picture({ label, caption, shape, size }) {
    const [height, width] = shape;
    const canvas = h("canvas", { class: "picture", role: "img", "aria-label": label, width, height });
    const text = h("figcaption", {}, caption ?? label);
    const figure = h("figure", {}, canvas, text);
    Object.assign(figure.style, { flex: `0 1 ${size}px`, minWidth: "0" });
    return {
      figure, canvas,
      draw: (values, how) => this.paint(canvas, shape, values, how),
      describe: (spoken, written) => {
        canvas.setAttribute("aria-label", spoken);
        if (written !== undefined) text.textContent = written;
      },
    };
  }

  // Values in [0, 1] (or bytes) as pixels. Grey is ink on paper in either theme; `signed` runs from blue over paper
  // to vermillion; `error` from paper to vermillion. `at` places the picture inside a larger canvas.
  paint(canvas, [height, width, depth], values, { signed = false, error = false, scale, at = [0, 0] } = {}) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height), pixels = image.data;
    const factor = scale ?? (values instanceof Uint8Array ? 1 / 255 : 1);
    const [blank, plus, minus] = ["blank", "posterior", "encoder"].map((name) => channels(this.color[name]));
    const scaled = signed || error, photograph = this.get("ink") === false;
    const from = photograph && !scaled ? [0, 0, 0] : blank;
    const most = scaled ? plus : photograph ? [255, 255, 255] : channels(this.color.full);
    for (let i = 0, o = 0; i < height * width; i++, o += 4) {
      if (depth === 3 && !scaled) {
        for (let c = 0; c < 3; c++) pixels[o + c] = 255 * factor * values[3 * i + c];
      } else {
        const value = factor * values[i * depth], to = signed && value < 0 ? minus : most;
        const part = clamp(scaled ? Math.abs(value) : value, 0, 1);
        for (let c = 0; c < 3; c++) pixels[o + c] = from[c] + (to[c] - from[c]) * part;
      }
      pixels[o + 3] = 255;
    }
    context.putImageData(image, at[0], at[1]);
  }

  // Several pictures of one shape side by side in one canvas, with a caption.
  strip({ caption, shape, count }) {
    const [height, width] = shape, gap = Math.max(1, Math.round(width / 14));
    const canvas = h("canvas", { class: "picture", role: "img", "aria-label": caption, height });
    canvas.width = count * (width + gap) - gap;
    canvas.style.border = "0";
    return {
      figure: h("figure", {}, canvas, h("figcaption", {}, caption)),
      describe: (text) => canvas.setAttribute("aria-label", text),
      draw: (picture, how) => {
        for (let i = 0; i < count; i++) this.paint(canvas, shape, picture(i), { ...how, at: [i * (width + gap), 0] });
      },
    };
  }
}

// Round tick positions that cover a range.
function ticks([low, high], count = 5) {
  const raw = (0.7 * (high - low)) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw) * power;
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), values = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) values.push(i * step);
  return values.map((value) => ({ value, text: fixed(value, places) }));
}

// A frame with grid, ticks and labels; returns the two scales and the box in pixels. An axis is
// { range, label, log, ticks: [{ value, text }] }.
function axes(view, plot, { x, y, left = 48, bottom = 38, top = 10, right = 12 }) {
  const context = plot.begin(), { color } = view;
  const box = { left, top, right: plot.width - right, bottom: plot.height - bottom };
  const scale = ({ range, log }, from, to) => {
    const f = log ? Math.log : (v) => v, [a, b] = range.map(f);
    return (v) => from + ((f(v) - a) / (b - a)) * (to - from);
  };
  const sx = scale(x, box.left, box.right), sy = scale(y, box.bottom, box.top);
  context.font = `12px ${view.font}`;
  context.lineWidth = 1;
  context.strokeStyle = color.grid;
  context.fillStyle = color.muted;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const { value, text } of x.ticks ?? ticks(x.range, plot.width < 300 ? 3 : 5)) {
    line(context, [[sx(value), box.top], [sx(value), box.bottom]]);
    context.fillText(text, sx(value), box.bottom + 5);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { value, text } of y.ticks ?? ticks(y.range, 4)) {
    line(context, [[box.left, sy(value)], [box.right, sy(value)]]);
    context.fillText(text, box.left - 6, sy(value));
  }
  context.strokeStyle = color.line;
  line(context, [[box.left, box.top], [box.left, box.bottom], [box.right, box.bottom]]);
  context.fillStyle = color.ink;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  if (x.label) context.fillText(x.label, (box.left + box.right) / 2, plot.height);
  if (y.label) {
    context.save();
    context.translate(11, (box.top + box.bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "middle";
    context.fillText(y.label, 0, 0);
    context.restore();
  }
  return { context, sx, sy, box };
}

function line(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

function dot(context, x, y, radius, fill, stroke) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  if (stroke) { context.strokeStyle = stroke; context.stroke(); }
}

// A colored mark and its word, for legends in text.
const legendKey = (colorName, text, mark = "bar") => {
  const swatch = h("span", { class: mark, "aria-hidden": "true" });
  swatch.style.background = `var(--${colorName})`;
  return h("span", { class: "key" }, swatch, text);
};
