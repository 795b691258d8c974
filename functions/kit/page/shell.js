
"use strict";
// Shared by all pages: theme, navigation, calls with their pod and time, and file input.
const pixelamp = (() => {
  const name = document.body.dataset.function, root = document.documentElement;
  const $ = (selector, within = document) => within.querySelector(selector);
  // On a shared host the function is below its name; on its own host it is at the root.
  const base = location.pathname === `/${name}` || location.pathname.startsWith(`/${name}/`) ? `/${name}` : "";
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* storage may be forbidden */ }
  if (theme) root.dataset.theme = theme;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme:dark)").matches;
  $("#theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* as above */ }
    dispatchEvent(new Event("themechange"));
  });
  const nav = $("header nav");
  if (base || name === "console" || name === "home") {
    nav.hidden = false;
    // The console belongs to the local engine; other ingresses have no console.
    fetch("/console", {method: "HEAD"}).then(answer => { $("a[href='/console']", nav).hidden = !answer.ok; }).catch(() => {});
    for (const link of nav.querySelectorAll("a"))
      if (link.textContent === name) link.setAttribute("aria-current", "page");
  }
  const say = text => { $("#said").textContent = text; };
  // An element with attributes and children; text is always text, never markup.
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes))
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value != null) element.setAttribute(key, value);
    element.append(...children.filter(child => child != null));
    return element;
  };
  const button = (text, action, kind) => make("button", {type: "button", class: kind, onclick: action}, text);
  // A table that scrolls separately, by keyboard too; the first cell of a row is its header.
  const table = (caption, head, rows) => make("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
    make("table", {}, make("caption", {class: "hush"}, caption), make("tr", {}, ...head.map(cell => make("th", {scope: "col"}, cell))),
      ...rows.map(([first, ...cells]) => make("tr", {}, make("th", {scope: "row"}, first), ...cells.map(cell => make("td", {}, cell))))));
  // The figures of a plot as a table, fixed when it is opened: a table that changes cannot be read.
  const twin = (caption, head, rows) => {
    const details = make("details", {}, make("summary", {}, caption));
    details.addEventListener("toggle", () => {
      if (details.open) details.replaceChildren(details.firstChild, table(caption, head(), rows()));
    });
    return details;
  };
  // Clear a canvas at the screen's resolution: its context, width and height in CSS pixels.
  const paper = canvas => {
    const ratio = devicePixelRatio || 1, {clientWidth: width, clientHeight: height} = canvas, pen = canvas.getContext("2d");
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    pen.scale(ratio, ratio);
    return {pen, width, height};
  };
  const colour = name => getComputedStyle(root).getPropertyValue(name).trim();
  // Pod, time and cold start of a response.
  const meta = (response, began) => {
    const timing = /total;dur=([\d.]+)/.exec(response.headers.get("Server-Timing") || "");
    return {
      pod: response.headers.get("X-Pod-Name"), revision: response.headers.get("X-Revision"),
      cold: response.headers.has("X-Cold-Start"), milliseconds: Math.round(performance.now() - began),
      server: timing ? Number(timing[1]) : null,
    };
  };
  // The function's token: requested on a 401, kept for the tab.
  let token = "", asking = null;
  try { token = sessionStorage.getItem(`token:${name}`) || ""; } catch { /* as above */ }
  const ask = signal => new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason));
    asking ??= new Promise((given, refused) => {
      const form = $("#token"), field = $("input", form);
      $("span", form).textContent = token ? "The token was not accepted. Token:" : "This function requires a token:";
      form.hidden = false;
      field.focus();
      form.onsubmit = event => {
        event.preventDefault();
        token = field.value.trim();
        try { sessionStorage.setItem(`token:${name}`, token); } catch { /* as above */ }
        form.onreset = given;
        form.reset();
      };
      form.onreset = () => refused(new Error("This function requires a token."));
    }).finally(() => { $("#token").hidden = true; asking = null; });
    asking.then(resolve, reject);
  });
  // A call to this function: {response, meta}; a problem is thrown as an Error with its detail.
  const call = async (path, options = {}) => {
    let response, began;
    for (;;) {
      const used = token, headers = {Accept: "application/json", ...options.headers};
      // In UTF-8, as a terminal sends it; fetch takes header values byte by byte.
      if (used) headers.Authorization = `Bearer ${String.fromCharCode(...new TextEncoder().encode(used))}`;
      began = performance.now();
      try {
        response = await fetch(base + path, {...options, headers});
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Error("The service cannot be reached.");
      }
      if (response.status !== 401) break;
      if (used === token) await ask(options.signal);
    }
    const about = meta(response, began);
    // Not from a pod: the error of a proxy before it.
    const pod = about.pod ? ` · answered by ${about.pod} (${about.revision})` : "";
    $("#answered-by").textContent = `${about.milliseconds} ms${about.cold ? " · cold start" : ""}${pod}`;
    if (!response.ok) {
      let problem = {};
      try { problem = await response.json(); } catch { /* not one of ours */ }
      const wait = response.headers.get("Retry-After");
      throw Object.assign(new Error((problem.detail || `The answer was ${response.status}.`) +
        (wait ? ` Try again in ${wait} s.` : "")), {status: response.status, problem});
    }
    return {response, meta: about};
  };
  // Files from the chooser, dropped anywhere on the page, or pasted.
  const files = (zone, input, take) => {
    const offer = list => { const found = [...list].filter(item => item instanceof File); if (found.length) take(found); };
    input.addEventListener("change", () => { offer(input.files); input.value = ""; });
    addEventListener("paste", event => offer(event.clipboardData.files));
    addEventListener("dragover", event => { event.preventDefault(); zone.classList.add("over"); });
    addEventListener("dragleave", event => { if (!event.relatedTarget) zone.classList.remove("over"); });
    addEventListener("drop", event => { event.preventDefault(); zone.classList.remove("over"); offer(event.dataTransfer.files); });
  };
  const copy = async text => {
    try { await navigator.clipboard.writeText(text); say("Copied."); }
    catch { say("The browser denied access to the clipboard."); }
  };
  // Download bytes as a file.
  const save = (blob, filename) => {
    const url = URL.createObjectURL(blob), link = make("a", {href: url, download: filename});
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };
  return {$, base, button, call, colour, copy, dark, files, make, paper, save, say, table, twin};
})();
