// The page's stand-in for Jupyter: every <ae-view> gets a model with the same get, set, on and off, and the module.
// Scripts and arrays are inlined once a page under a hash (see views.py); nothing is fetched, so file:// works too.
if (!customElements.get("ae-view")) {
  const asset = (id) => JSON.parse(document.getElementById(id).textContent);
  const once = new Map();
  const cached = (key, make) => once.get(key) ?? once.set(key, make()).get(key);

  const loadModule = (ids) => cached(ids, () => {
    const source = ids.split(" ").map(asset).join("\n");
    return import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  });

  const loadBytes = (id) => cached(id, async () => {
    const packed = Uint8Array.from(atob(asset(id)), (character) => character.charCodeAt(0));
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new DataView(await new Response(unpacked).arrayBuffer());
  });

  class Model {
    constructor(state) { this.state = state; this.listeners = new Map(); }
    get(key) { return this.state[key]; }
    set(key, value) {
      this.state[key] = value;
      for (const listener of [...(this.listeners.get(`change:${key}`) ?? [])]) listener();
    }
    save_changes() {}
    on(event, listener) {
      if (!this.listeners.has(event)) this.listeners.set(event, new Set());
      this.listeners.get(event).add(listener);
    }
    off(event, listener) { this.listeners.get(event)?.delete(listener); }
  }

  customElements.define("ae-view", class extends HTMLElement {
    async connectedCallback() {
      if (this.started) return;
      this.started = true;
      const state = JSON.parse(this.dataset.state);
      for (const [key, value] of Object.entries(state)) if (value?.bytes) state[key] = await loadBytes(value.bytes);
      const { default: view } = await loadModule(this.dataset.esm);
      this.replaceChildren();
      await view.render({ model: new Model(state), el: this });
      this.dataset.ready = "";
    }
  });
}
