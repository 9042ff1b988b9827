// Keeps pages live, lets clocks run, takes dropped files, shows the playground's message while typing. Every page works without it.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const parse = (html) => new DOMParser().parseFromString(html, "text/html");
  document.documentElement.classList.add("scripted");

  function announce(text) {
    const place = byId("announce");
    if (place && text) place.textContent = text.replace(/\s+/g, " ").trim();
  }

  // Clocks: what the server says is left, from the moment the page got it.
  function windClocks(root = document) {
    for (const clock of all("[data-left]", root)) {
      if (!clock.dataset.until) clock.dataset.until = performance.now() + Number(clock.dataset.left);
    }
  }
  function tick() {
    for (const clock of all("[data-until]")) {
      const seconds = Math.max(0, Math.ceil((Number(clock.dataset.until) - performance.now()) / 1000));
      if (!seconds && clock.textContent !== "0:00") setTimeout(refresh, 500);
      const two = (n) => String(n).padStart(2, "0");
      const hours = Math.floor(seconds / 3600);
      const rest = `${hours ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
      clock.textContent = hours ? `${hours}:${rest}` : rest;
    }
  }
  windClocks();
  setInterval(tick, 1000);

  // A button that is about to be released must not be replaced under the finger.
  let pressed = false;
  addEventListener("pointerdown", () => (pressed = true), true);
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(() => (pressed = false), 50), true);

  // Regions that change are replaced by those of a fresh page, unless somebody is busy in them.
  function isBusy(region) {
    if (pressed) return true;
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && region.contains(selection.anchorNode)) return true;
    const active = document.activeElement;
    return Boolean(active && region.contains(active) && active.closest("details.confirm[open], input, textarea, select"));
  }
  function replace(old, fresh) {
    const open = all("details[open][id]", old).map((one) => one.id);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const known = new Set(all("tr[id]", old).map((row) => row.id));
    const news = all("tr[id]", fresh).filter((row) => known.size && !known.has(row.id));
    old.replaceWith(fresh);
    for (const id of open) byId(id)?.setAttribute("open", "");
    if (focused) byId(focused)?.focus({ preventScroll: true });
    for (const row of news) row.classList.add("fresh");
    if (news.length) announce(`${document.body.dataset.new} ${news[0].querySelector("a")?.textContent ?? ""}`);
    windClocks(fresh);
  }
  function swap(page, force) {
    for (const old of all("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh || old.innerHTML === fresh.innerHTML) continue;
      if (force || !isBusy(old)) replace(old, fresh);
      else soon();
    }
  }
  let timer = 0;
  function soon() {
    clearTimeout(timer);
    timer = setTimeout(refresh, 1500);
  }
  let asking = false;
  let again = false;
  async function refresh() {
    if (!document.querySelector("[data-live]") || document.hidden) return;
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/login") location.reload();
      else if (answer.ok) swap(parse(await answer.text()), false);
    } catch {
      pulse(false);
    } finally {
      asking = false;
      if (again) {
        again = false;
        setTimeout(refresh, 250);
      }
    }
  }

  // The server says when there is something new. A page that nobody sees does not listen.
  const light = byId("pulse");
  function pulse(on) {
    if (!light) return;
    light.hidden = false;
    light.classList.toggle("off", !on);
    light.textContent = on ? light.dataset.on : light.dataset.off;
  }
  let stream = null;
  function listen() {
    if (stream || document.hidden || !document.querySelector("[data-live]")) return;
    stream = new EventSource("/live");
    stream.onopen = () => pulse(true);
    stream.onmessage = refresh;
    stream.onerror = () => {
      pulse(false);
      // A refusal ends the stream for good; a lost one comes back by itself.
      if (stream && stream.readyState === EventSource.CLOSED) {
        hush();
        setTimeout(listen, 10000);
      }
    };
  }
  function hush() {
    stream?.close();
    stream = null;
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
  addEventListener("pagehide", hush);
  addEventListener("pageshow", listen);
  listen();
  // Ages grow even where nothing happens.
  setInterval(refresh, 15000);

  // Forms whose answer is shown in place.
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-swap]");
    if (!form) return;
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("button");
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const page = parse(await answer.text());
      if (!page.getElementById(form.dataset.swap)) {
        location.reload();
        return;
      }
      history.replaceState(null, "", answer.url);
      swap(page, true);
      announce(all("[data-announce]").map((one) => one.textContent).join(" "));
    } catch {
      form.submit();
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  announce(all("[data-announce]").map((one) => one.textContent).join(" "));

  // Files may be dropped anywhere on their form.
  for (const form of all("form[data-drop]")) {
    const zone = form.querySelector(".drop");
    const over = (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      zone.classList.add("over");
    };
    form.addEventListener("dragenter", over);
    form.addEventListener("dragover", over);
    form.addEventListener("dragleave", (event) => form.contains(event.relatedTarget) || zone.classList.remove("over"));
    form.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      for (const file of event.dataTransfer.files) {
        const field = form.querySelector(`input[name="${file.name.endsWith(".sig") ? "signature" : "component"}"]`);
        const files = new DataTransfer();
        files.items.add(file);
        field.files = files.files;
      }
      form.querySelector("button").focus();
    });
    form.addEventListener("submit", () => form.querySelector("button").setAttribute("aria-busy", "true"));
  }

  // The playground: what is typed is shown a moment later.
  const playground = document.querySelector("form[data-playground]");
  if (playground) {
    let timer = 0;
    let running = null;
    const show = async () => {
      running?.abort();
      running = new AbortController();
      const { signal } = running;
      const result = playground.querySelector(".result");
      result.classList.add("waiting");
      try {
        const body = new URLSearchParams(new FormData(playground));
        const answer = await fetch(playground.action, { method: "POST", body, signal });
        if (!answer.ok) throw new Error(answer.statusText);
        const page = parse(await answer.text());
        for (const id of ["result", "event-problems", "config-problems"]) {
          const open = all("details[open][id]", byId(id)).map((one) => one.id);
          byId(id).innerHTML = page.getElementById(id).innerHTML;
          for (const one of open) byId(one)?.setAttribute("open", "");
        }
        result.classList.remove("waiting");
      } catch (error) {
        if (error.name !== "AbortError") playground.submit();
      }
    };
    playground.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(show, 250);
    });
    playground.addEventListener("change", (event) => {
      const load = event.target.dataset.load;
      if (!load) return;
      clearTimeout(timer);
      running?.abort();
      playground.requestSubmit(byId(load));
    });
  }
})();
