// What is live on the desk. Every page works without this file; it adds keys,
// swaps of parts without a reload, and the server's events.
"use strict";
(() => {
  const $ = (q, from = document) => from.querySelector(q);
  const $$ = (q, from = document) => [...from.querySelectorAll(q)];
  const words = $("#words")?.dataset ?? {};
  const wide = () => innerWidth > 720;
  const later = (ms, f) => { let t; return (...a) => { clearTimeout(t); t = setTimeout(() => f(...a), ms); }; };
  const say = (text) => { const el = $("#said"); if (el) el.textContent = text; };
  const typing = (el) => !!el?.closest?.("input:not([type=checkbox],[type=radio]), textarea, select, [contenteditable]");

  // Parts. The server answers with elements that carry ids; each takes the
  // place of the one with its id. Rows that the page doesn't show are left out. With by
  // ("others", or what somebody works in) the case that is shown is exchanged in parts.
  function swap(html, by) {
    const doc = new DOMParser().parseFromString(html, "text/html");
    const at = document.activeElement, within = at?.closest("#case, #flash");
    const chosen = new Set(chosenBoxes().map((el) => el.value));
    for (const el of $$("body > [id], body > ol > .row", doc)) {
      const old = el.id && document.getElementById(el.id);
      if (!old) continue;
      if (old.classList.contains("gone") && !("open" in el.dataset)) el.classList.add("gone");
      if (el.classList.contains("row") && $("a[aria-current]", old)) $("a", el).setAttribute("aria-current", "true");
      if (el.id === "filters" && $("details[open]", old)) $("details", el)?.setAttribute("open", "");
      const same = el.id === "case" && old.dataset.id === el.dataset.id, where = same && placeIn(old);
      if (same && by) exchange(old, el, by); else { old.replaceWith(el); ready(el); }
      if (where) returnTo($("#case"), where);
      if (el.id === "flash" && !el.hidden) { say(el.textContent.trim()); fade(el); }
    }
    for (const el of $$("#rows .row-pick input")) if (chosen.has(el.value)) el.checked = true;
    counted();
    // Who pressed what is gone goes on where it stood: at its like, else in the case.
    if (!at || at.isConnected || document.activeElement !== document.body) return;
    const likes = [at.id && document.getElementById(at.id), at.dataset.key && $(`#case [data-key="${CSS.escape(at.dataset.key)}"]`), within && $("#case .scroll")];
    likes.find((el) => { if (el) el.focus({ preventScroll: true }); return el && el === document.activeElement; });
  }

  // A part of a case in which something is typed, chosen or opened that is not stored
  // stays when others change the case, and when a command of another part does, unless
  // the command leads to something else there.
  const parts = [".case-bar", ".thread > .scroll", "#composer", ".context"];
  function unsaved(el) {
    const at = document.activeElement;
    return "unsaved" in el.dataset || dirty(el) || !!$("details:is(.menu, .sure)[open]", el) || el.contains(at) && (el.id === "composer" || typing(at));
  }
  const alike = (a, b) => a.className === b?.className && !$("#c-form", a) === !$("#c-form", b);
  function exchange(old, el, by) {
    const newer = by === "others" && +el.dataset.revision > +old.dataset.revision;
    for (const q of parts) {
      const was = $(q, old), now = $(q, el);
      if (was && was !== by && unsaved(was) && (by === "others" || alike(was, now))) {
        if (newer && was.id === "composer" && !(+el.dataset.revision <= +was.dataset.revision)) flash(words.changed);
        continue;
      }
      if (was && now) was.replaceWith(now); else if (now) $(".thread", old).append(now); else was?.remove();
      if (now) ready(now);
    }
    old.dataset.revision = el.dataset.revision;
  }

  // Where somebody reads in a case: how far down, and what they opened.
  const panes = [".thread > .scroll", ".context"];
  const placeIn = (el) => ({
    tops: panes.map((q) => $(q, el)?.scrollTop ?? 0),
    opened: new Set($$("details[open]:not(.menu, .sure) > summary", el).map((s) => s.textContent)),
  });
  function returnTo(el, { tops, opened }) {
    for (const d of $$("details:not(.menu, .sure)", el)) if (opened.has($("summary", d)?.textContent)) d.open = true;
    panes.forEach((q, i) => $(q, el)?.scrollTo(0, tops[i]));
  }

  async function load(url, part, init = {}) {
    const answer = await fetch(url, { ...init, headers: { "Earshot-Part": part, ...init.headers } });
    if (new URL(answer.url).pathname === "/sign-in") { signedOut(answer.url); return null; }
    if ($("#flash a[data-sign-in]")) { $("#flash").replaceChildren(); $("#flash").hidden = true; }
    const html = await answer.text();
    if (!answer.headers.get("Earshot-Part")) throw new Error(String(answer.status));
    return { html, ok: answer.ok, url: answer.url };
  }

  function flash(text, bad = true) {
    const el = $("#flash");
    el.className = bad ? "flash bad" : "flash"; el.hidden = false; el.textContent = text;
    say(text);
  }
  // What somebody is told, with the way there.
  function told(word) {
    flash(word.text.trim(), false);
    const a = document.createElement("a");
    a.href = word.href; a.textContent = word.about;
    $("#flash").append(a);
    fade($("#flash"));
  }
  // The session is over. Whoever is writing signs in beside, and goes on here.
  function signedOut(url) {
    if (!dirty() && !$("#case [data-unsaved]")) { location.assign(url); return; }
    if ($("#flash:not([hidden]) a[data-sign-in]")) return;
    flash(words.out);
    const a = document.createElement("a");
    a.href = "/sign-in"; a.target = "_blank"; a.dataset.signIn = ""; a.textContent = words.in;
    $("#flash").append(a);
  }
  const failed = (err) => { if (err.name !== "AbortError") flash(words.failed); };
  let fading;
  function fade(el) {
    clearTimeout(fading);
    fading = setTimeout(() => { if (!el.matches(":hover, :focus-within")) el.hidden = true; else fade(el); }, 12000);
  }

  // The address of what is shown, without the place on the page.
  const place = () => location.pathname + location.search;
  let shownPlace = place();
  function moved(how, url) { history[how](null, "", url); shownPlace = place(); }

  // The list and the case beside it.
  const beside = () => wide() && !!$("#case"); // a list alone leads to the case's own page
  const rows = () => $$("#rows > .row");
  const current = () => $("#rows a[aria-current]")?.closest(".row");
  let opening;
  async function open(row, push = true) {
    if (!row) return;
    for (const a of $$("#rows a[aria-current]")) a.removeAttribute("aria-current");
    const link = $("a", row);
    link.setAttribute("aria-current", "true");
    row.classList.add("seen");
    row.scrollIntoView({ block: "nearest" });
    link.focus({ preventScroll: true });
    show(link.href, push);
  }
  const show = later(60, async (url, push) => {
    opening?.abort();
    opening = new AbortController();
    try {
      const got = await load(url, "case", { signal: opening.signal });
      if (!got) return;
      swap(got.html);
      $(".panes")?.classList.add("has-case");
      if (push) moved("replaceState", url);
      sign();
    } catch (err) { failed(err); }
  });
  function step(by) {
    const all = rows(), at = all.indexOf(current());
    const to = all[at < 0 ? 0 : at + by];
    if (to) beside() ? open(to) : $("a", to).focus();
  }
  // The one after a case that has just been finished.
  function next() {
    const all = rows(), at = all.indexOf(current());
    const to = all.slice(at + 1).find((r) => !r.classList.contains("gone")) ?? all.slice(0, Math.max(at, 0)).findLast((r) => !r.classList.contains("gone"));
    to ? open(to) : location.assign("/queue");
  }

  // Choosing many. Boxes belong to the form of the bar above the list.
  const chosenBoxes = () => $$("#rows .row-pick input:checked");
  let anchor = null;
  function counted() {
    const el = $("#bulk [data-count]");
    if (el) el.textContent = chosenBoxes().length.toLocaleString();
  }
  function choose(row, range) {
    const box = row && $(".row-pick input", row);
    if (!box) return;
    const all = rows(), from = all.indexOf(anchor?.isConnected ? anchor : document.getElementById(anchor?.id)), to = all.indexOf(row);
    if (range && from >= 0) for (const r of all.slice(Math.min(from, to), Math.max(from, to) + 1)) for (const b of $$(".row-pick input", r)) b.checked = true;
    else { box.checked = !box.checked; anchor = row; }
    counted();
  }
  function unpick() { $("#bulk")?.reset(); counted(); }
  const pieces = 25;
  async function many(form, button, ids) {
    const bar = $("#bulk progress"), data = new FormData(form, button);
    const rest = [...data].filter(([name]) => !["id", "all", "query"].includes(name));
    button?.setAttribute("aria-busy", "true");
    const done = [], refused = [];
    let result = null;
    try {
      if (data.get("all")) {
        const got = await load("/queue?" + data.get("query"), "ids");
        if (!got) return;
        ids = $$("input", new DOMParser().parseFromString(got.html, "text/html")).map((el) => el.value);
      }
      if (bar && ids.length > pieces) { bar.max = ids.length; bar.value = 0; bar.hidden = false; }
      for (let at = 0; at < ids.length; at += pieces) {
        const piece = ids.slice(at, at + pieces);
        const got = await load("/bulk", "bulk", { method: "POST", body: new URLSearchParams([...rest, ["before", done.length], ...piece.map((id) => ["id", id])]) });
        if (!got) return;
        const doc = new DOMParser().parseFromString(got.html, "text/html");
        result = doc.getElementById("bulk-result");
        if (!got.ok || !result) { flash(doc.body.innerText.trim() || words.failed); return; }
        done.push(...$$("[data-bulk-undo] [name=id]", result).map((el) => el.value));
        if (data.get("do") === "undo") done.push(...Array(+result.dataset.done).fill(""));
        refused.push(...$$("[data-failed]", result));
        swap($$("ol", doc).map((el) => el.outerHTML).join(""));
        if (bar) { bar.value = at + piece.length; say(words.progress.replace("{0}", ids.length).replace("{1}", at + piece.length)); }
      }
    } catch (err) { failed(err); } finally {
      button?.removeAttribute("aria-busy");
      if (bar) bar.hidden = true;
    }
    if (!result) return;
    const list = $("ul", result), undo = $("[data-bulk-undo]", result);
    if (list) list.replaceChildren(...refused);
    else if (refused.length) { const ul = document.createElement("ul"); ul.className = "bulk-failed"; ul.append(...refused); $("p", result).after(ul); }
    if (undo) for (const id of done.slice(0, done.length - $$("[name=id]", undo).length)) { const el = document.createElement("input"); el.type = "hidden"; el.name = "id"; el.value = id; undo.append(el); }
    $("#bulk-result").replaceWith(result);
    unpick();
    say($("p", result).textContent);
    if (["watch", "exclude", "close", "snooze"].includes(data.get("do"))) for (const id of done) document.getElementById("row-" + id)?.classList.add("gone");
    if (data.get("do") === "undo") for (const id of ids) document.getElementById("row-" + id)?.classList.remove("gone");
  }

  // Commands: done at once in the row, corrected by the answer.
  async function command(form, button) {
    const row = document.getElementById("row-" + $("#case")?.dataset.id);
    row?.classList.add("pending");
    button?.setAttribute("aria-busy", "true");
    const data = new FormData(form, button ?? undefined);
    const body = form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
    try {
      const got = await load(button?.getAttribute("formaction") ?? form.getAttribute("action"), "case", { method: "POST", body });
      if (!got) return;
      if (got.ok) forget(form);
      if (got.ok && "next" in form.dataset && row) {
        swapOnly(got.html, ["flash"]);
        row.classList.add("gone");
        form.dataset.sent = "";
        next();
      } else {
        const was = $("#composer");
        swap(got.html, form.closest(parts.join()) ?? form);
        const asked = $("#composer:is(.ask, .labels) form");
        if (asked !== form && asked?.action === form.action) asked.parentElement.dataset.loses = "";
        if (button?.classList.contains("pick-one")) ($$("#c-form .slots :is(input, select)").find((el) => !el.value) ?? $("#c-text"))?.focus();
        if ($("#composer") !== was) $("#composer[data-focus]")?.querySelector("[autofocus], input:not([type=hidden]), textarea, select")?.focus();
      }
    } catch (err) { failed(err); } finally {
      document.getElementById(row?.id)?.classList.remove("pending");
      button?.removeAttribute("aria-busy");
    }
  }
  function swapOnly(html, ids) {
    const doc = new DOMParser().parseFromString(html, "text/html");
    swap(ids.map((id) => doc.getElementById(id)?.outerHTML ?? "").join(""));
  }

  // Text that isn't saved survives a reload.
  const keepKey = (el) => "earshot:" + ($("#case")?.dataset.id ?? "") + ":" + el.dataset.keep;
  function dirty(from) { return $$("[data-keep]", from).some((el) => el.value !== el.defaultValue); }
  // What is chosen goes with the page: fields that differ from how they came, and what
  // the server says, or a refusal, that they came with.
  const altered = (el) => el.options ? el.selectedIndex !== Math.max([...el.options].findIndex((o) => o.defaultSelected), 0)
    : el.type === "checkbox" || el.type === "radio" ? el.checked !== el.defaultChecked : el.type === "file" ? !!el.files.length : el.value !== el.defaultValue;
  const loses = () => dirty() || !!$("#composer[data-loses]") || $$("#composer form:not([data-sent], [data-picking]) :is(input, select, textarea)").some(altered);
  function forget(form) { for (const el of $$("[data-keep]", form)) { sessionStorage.removeItem(keepKey(el)); el.defaultValue = el.value; } }

  // A reply is stored while it is written, so that a crash or a colleague who takes
  // the case over loses nothing. What the server refuses stays in the browser.
  const autosave = later(4000, async (form) => {
    const text = $('[data-keep="reply"]', form), note = $("#autosaved", form);
    if (!note?.dataset.autosave || !text.isConnected || text.value === text.defaultValue || !text.value.trim()) return;
    const sent = text.value;
    // It is kept in the browser, and stored with the next letter or connection.
    const unsaved = () => { note.textContent = words.unsaved; note.classList.add("warn"); };
    try {
      const got = await load(note.dataset.autosave, "autosave", { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!got) { unsaved(); return; }
      const saved = new DOMParser().parseFromString(got.html, "text/html").getElementById("autosaved");
      if (!saved || !text.isConnected) return;
      note.textContent = saved.textContent;
      note.classList.toggle("warn", !got.ok);
      if (!got.ok) return;
      form.elements.version.value = saved.dataset.version;
      $("#case").dataset.revision = saved.dataset.revision;
      text.defaultValue = sent;
      form.closest("#composer").toggleAttribute("data-loses", "loses" in saved.dataset);
      if (text.value === sent) sessionStorage.removeItem(keepKey(text)); else autosave(form);
    } catch (err) { unsaved(); }
  });
  const check = later(280, async (form) => {
    try {
      const got = await load(form.dataset.composer, "preview", { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (got) swap(got.html);
    } catch (err) { /* the preview is a help; the server checks again on sending */ }
  });

  // The last choice decides, and what was typed in another field meanwhile stays.
  let filling, composing = false;
  for (const type of ["compositionstart", "compositionend"]) document.addEventListener(type, () => { composing = type === "compositionstart"; });
  async function fill(form) {
    if (!form.isConnected) return;
    filling?.abort();
    filling = new AbortController();
    const body = new URLSearchParams(new FormData(form));
    try {
      const got = await load(form.closest("#composer").dataset.fill, "composer", { method: "POST", body, signal: filling.signal });
      if (!got || !form.isConnected) return;
      if (composing || String(new URLSearchParams(new FormData(form))) !== String(body)) { setTimeout(fill, 200, form); return; }
      sessionStorage.removeItem(keepKey({ dataset: { keep: "reply" } }));
      swap(got.html);
      $("#composer details")?.setAttribute("open", "");
    } catch (err) { failed(err); }
  }

  async function preview(form, button) {
    button.setAttribute("aria-busy", "true");
    try {
      const got = await load(button.getAttribute("formaction"), "preview", { method: "POST", body: new URLSearchParams(new FormData(form, button)) });
      if (got) swap(got.html);
    } catch (err) { failed(err); } finally { button.removeAttribute("aria-busy"); }
  }

  // ready prepares an element that has just come onto the page.
  function ready(root) {
    for (const el of $$("[data-keep]", root)) {
      const kept = sessionStorage.getItem(keepKey(el));
      if (kept !== null && kept !== el.value) { el.value = kept; if (el.form?.dataset.composer) check(el.form); }
    }
    for (const el of $$("[data-copy-from]", root)) el.hidden = !navigator.clipboard;
    for (const el of $$("[data-take]", root)) el.hidden = false;
    splits(root);
    tick();
  }

  // Words of the post that are selected can be taken into a field of the form of
  // labels; what the desk put between them is left out.
  let picked = "";
  document.addEventListener("selectionchange", () => {
    const sel = getSelection(), said = $("#case .said");
    if (!sel.rangeCount || sel.isCollapsed || !said?.contains(sel.anchorNode) || !said.contains(sel.focusNode)) return;
    const part = sel.getRangeAt(0).cloneContents();
    for (const el of $$("sup", part)) el.remove();
    picked = part.textContent.replaceAll("\u2060", "").trim();
    for (const el of $$("[data-take]")) el.classList.add("primary");
  });
  function take(button) {
    const field = document.getElementById(button.dataset.take);
    if (picked) { field.value = picked; document.getElementById(field.dataset.words).checked = true; picked = ""; getSelection().removeAllRanges(); }
    for (const el of $$("[data-take]")) el.classList.remove("primary");
    field.focus();
  }

  // The picker of templates and agreed answers, opened by / in an empty reply.
  let picked_at;
  async function pick(url, more = false) {
    const over = () => more && $("#picks")?.hidden !== false; // something was chosen meanwhile
    if (over()) return;
    picked_at?.abort();
    picked_at = new AbortController();
    try {
      const got = await load(url, "picks", { signal: picked_at.signal });
      if (!got || over()) return;
      const had = document.activeElement?.id === "pick-q";
      swap(got.html);
      if (!more) $("#picks").scrollIntoView({ block: innerWidth <= 720 ? "start" : "nearest" }); // there its list is under the keys of the screen
      const q = $("#pick-q");
      if (!had || document.activeElement !== q) { q?.focus({ preventScroll: !more }); q?.setSelectionRange(q.value.length, q.value.length); }
    } catch (err) { failed(err); }
  }
  const pickMore = later(200, (form) => pick(form.getAttribute("action") + "?" + new URLSearchParams(new FormData(form)), true));
  function picking(e, at) {
    const all = $$("#picks .pick-one"), i = all.indexOf(at);
    if (e.key === "Escape") { $("#picks").replaceChildren(); $("#picks").hidden = true; $("#c-text")?.focus(); }
    else if (e.key === "ArrowDown") (all[i + 1] ?? all[0])?.focus();
    else if (e.key === "ArrowUp") (i > 0 ? all[i - 1] : $("#pick-q"))?.focus();
    else if (e.key === "Enter" && at.id === "pick-q") all[0]?.click();
    else return false;
    e.preventDefault();
    return true;
  }

  // Search as you type; nothing is asked while an input method composes.
  let searching;
  const search = later(160, async (form) => {
    searching?.abort();
    searching = new AbortController();
    const url = "/queue?" + new URLSearchParams([...new FormData(form)].filter(([, v]) => v));
    try {
      const got = await load(url, "list", { signal: searching.signal });
      if (got) { swap(got.html); moved("replaceState", url); }
    } catch (err) { failed(err); }
  });

  document.addEventListener("input", (e) => {
    const el = e.target;
    $("#case")?.contains(el) && el.closest(parts.join())?.setAttribute("data-unsaved", "");
    if (el.dataset.keep === "reply") autosave(el.form);
    if (el.dataset.keep) { sessionStorage.setItem(keepKey(el), el.value); if (Date.now() - typed > 20000) setTimeout(sign, 100); typed = Date.now(); }
    if (e.isComposing) return;
    if (el.dataset.words && el.value) document.getElementById(el.dataset.words).checked = true;
    if (el.id === "q" && el.form?.matches("[data-search]")) search(el.form);
    else if (el.id === "pick-q") pickMore(el.form);
    else if (el.form?.dataset.composer && !("refill" in el.dataset)) check(el.form);
  });
  document.addEventListener("compositionend", (e) => {
    const form = e.target.form;
    if (e.target.id === "q" && form?.matches("[data-search]")) search(form);
    else if (e.target.id === "pick-q") pickMore(form);
    else if (form?.dataset.composer) check(form);
  });
  document.addEventListener("change", (e) => {
    const el = e.target;
    if ("auto" in el.dataset) search(el.form);
    if ("refill" in el.dataset || el.name?.startsWith("slot.") || ["promise", "account", "to"].includes(el.name)) {
      fill(el.form);
    }
  });

  document.addEventListener("submit", (e) => {
    const form = e.target, button = e.submitter;
    if (form.matches("[data-search]")) { e.preventDefault(); search(form); return; }
    if (form.matches("#bulk") || form.matches("[data-bulk-undo]") && $("#rows")) {
      e.preventDefault();
      many(form, button, form.matches("#bulk") ? chosenBoxes().map((el) => el.value) : $$("[name=id]", form).map((el) => el.value));
      return;
    }
    if (form.matches("[data-picking]")) { e.preventDefault(); pickMore(form); return; }
    if (button && "preview" in button.dataset) { e.preventDefault(); preview(form, button); return; }
    if (!$("#case")?.contains(form) && !form.matches("[data-undo]")) return;
    if ($("#case")) { e.preventDefault(); command(form, button); }
  });

  document.addEventListener("click", (e) => {
    if (!e.target.matches?.(".row-pick input")) return;
    const row = e.target.closest(".row");
    if (e.shiftKey) { e.target.checked = !e.target.checked; choose(row, true); } else { anchor = row; counted(); }
  });
  document.addEventListener("reset", (e) => { if (e.target.matches("#bulk")) setTimeout(counted); });
  document.addEventListener("click", async (e) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
    const copy = e.target.closest("[data-copy-from]");
    if (copy) { await navigator.clipboard.writeText(document.getElementById(copy.dataset.copyFrom).textContent); say(words.copied); copy.classList.add("copied"); return; }
    const both = e.target.closest("[data-copy-open]");
    if (both) { // copied first: a page that isn't in front may not
      navigator.clipboard?.writeText(document.getElementById(both.dataset.copyOpen).textContent).then(() => say(words.copied));
      if (both.dataset.open) window.open(both.dataset.open, "_blank", "noopener,noreferrer");
      return;
    }
    const taker = e.target.closest("[data-take]");
    if (taker) { take(taker); return; }
    const a = e.target.closest("a[href]");
    if (!a) return;
    if (a.matches("#case [data-pick]")) { e.preventDefault(); pick(a.href); return; }
    const row = a.closest("#rows > .row");
    if (row && beside()) { e.preventDefault(); open(row); return; }
    if (a.matches("[data-more]")) {
      e.preventDefault();
      try {
        const got = await load(a.href, "rows");
        const doc = new DOMParser().parseFromString(got.html, "text/html");
        const have = new Set(rows().map((r) => r.id));
        const first = $$(".row", doc).filter((r) => !have.has(r.id));
        $("#rows").append(...first);
        const rest = doc.getElementById("more");
        rest ? $("#more").replaceWith(rest) : $("#more").remove();
        $("a", first[0])?.focus();
      } catch (err) { failed(err); }
      return;
    }
    if (a.matches("#case [data-part-link], #case [data-ask]")) {
      e.preventDefault();
      try {
        const got = await load(a.href, "case");
        if (got) swap(got.html);
        $("#composer textarea, #composer [autofocus], #composer input:not([type=hidden]), #composer select")?.focus();
      } catch (err) { failed(err); }
      return;
    }
    if (a.closest("#fresh")) { e.preventDefault(); refresh(); return; }
    if (a.closest("#filters") && $("#list")) {
      e.preventDefault();
      try {
        const got = await load(a.href, "list");
        if (got) { swap(got.html); moved("pushState", a.href); const q = $("#q"), p = new URL(a.href).searchParams; if (q) q.value = p.get("q") ?? ""; }
      } catch (err) { failed(err); }
    }
  });
  // What opens over the page closes by a click elsewhere, and by Escape.
  const over = () => $$("details:is(.menu, .sure, .rest)[open]");
  document.addEventListener("click", (e) => { for (const el of over()) if (!el.contains(e.target) && !(el.matches(".rest") && e.target.closest(".rail"))) el.open = false; });
  document.addEventListener("toggle", async (e) => {
    if (!e.target.open || !e.target.matches("details[data-later]")) return;
    try { const got = await load(location.href, "filters"); if (got) swap(got.html); } catch (err) { failed(err); }
  }, true);
  addEventListener("popstate", () => { if (place() !== shownPlace) location.reload(); }); // a link within the page comes here too
  addEventListener("beforeunload", (e) => { if (loses()) e.preventDefault(); });

  // Keys. None acts while an input method composes or in a text field.
  const keysOn = "keys" in document.body.dataset;
  let going = false;
  document.addEventListener("keydown", (e) => {
    if (e.isComposing || e.keyCode === 229) return;
    const at = document.activeElement;
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      const send = $("[data-send]", at?.closest("form") ?? undefined) ?? $("#composer [data-send]");
      if (send) { e.preventDefault(); send.form.requestSubmit(send); }
      return;
    }
    if (at?.closest("#picks") && picking(e, at)) return;
    const up = e.key === "Escape" && over().at(-1);
    if (up) { up.open = false; $("summary", up).focus(); return; }
    if (e.key === "Escape" && typing(at)) { at.blur(); $("#case .scroll")?.focus(); return; }
    if (e.key === "Escape" && chosenBoxes().length) { unpick(); return; }
    if (!keysOn || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "/" && at?.id === "c-text" && at.value === "" && $("[data-pick]")) { e.preventDefault(); pick($("[data-pick]").href); return; }
    if (typing(at) || $("dialog[open]")) return;
    if (going) {
      going = false;
      const go = $(`[data-go="${CSS.escape(e.key)}"]`);
      if (go) { e.preventDefault(); location.assign(go.href); }
      return;
    }
    const act = keys[e.key] ?? byButton(e.key);
    if (act) { e.preventDefault(); act(); }
  });
  const keys = {
    j: () => step(1), k: () => step(-1),
    o: () => { const a = $("#case [data-alone]"); if (a) location.assign(a.href); },
    u: () => { const back = $("[data-back]"); if (back) location.assign(back.href); },
    "/": () => { const q = $("#q"); if (q) { q.focus(); q.select(); } },
    "?": () => $("#sheet")?.showModal(),
    g: () => { going = true; setTimeout(() => { going = false; }, 1500); },
    x: () => choose(current() ?? document.activeElement?.closest(".row") ?? rows()[0]), X: () => choose(current() ?? rows()[0], true),
    "*": () => { for (const el of $$("#rows .row-pick input")) el.checked = true; const all = $('#bulk [name="all"]'); if (all) all.checked = true; counted(); },
    z: () => ($("#bulk-result:not([hidden]) [data-bulk-undo] button") ?? $("#flash:not([hidden]) [data-undo] button") ?? $('#case [data-key="z"]'))?.click(),
    r: () => compose("reply", "r"), n: () => compose("note", "n"),
  };
  function byButton(key) {
    const el = key.length === 1 && $(`#case [data-key="${CSS.escape(key)}"]`);
    return el ? () => el.click() : null;
  }
  function compose(mode, key) {
    const box = $(`#composer.${mode} textarea, #composer.${mode} input:not([type=hidden])`);
    box ? box.focus() : $(`#case [data-key="${key}"]`)?.click();
  }

  // Live. New rows wait above the list; nothing moves under the pointer.
  async function refresh() {
    try {
      const got = await load(location.href, "list");
      if (!got) return;
      const id = $("#case")?.dataset.id;
      swap(got.html);
      $("#fresh").hidden = true;
      $(".list-pane .scroll")?.scrollTo(0, 0);
      if (id) $(`#row-${CSS.escape(id)} > a`)?.setAttribute("aria-current", "true");
    } catch (err) { failed(err); }
  }
  const fresh = later(700, async () => {
    const list = $("#list[data-since]");
    if (!list) return;
    const url = new URL(location.href);
    url.searchParams.set("since", list.dataset.since);
    try { const got = await load(url, "fresh"); if (got) swap(got.html); } catch (err) { /* the stale mark tells */ }
  });
  const board = later(1500, async () => {
    if (!$("[data-board]") || $("[data-board]").contains(document.activeElement)) return;
    try { const got = await load("/board", "board"); if (got) swap(got.html); } catch (err) { /* the stale mark tells */ }
  });
  // What may be approved is not exchanged under the finger: who was about to press
  // would say yes to a text that they have not read.
  const toApprove = (root) => $('#case form[action$="/approve"] [name="hash"]', root)?.value;
  function exchanged(html) {
    const read = toApprove(document), other = read && toApprove(new DOMParser().parseFromString(html, "text/html")) !== read;
    if (other) flash(words.asks);
    return other;
  }
  const changed = new Set();
  const follow = later(250, async () => {
    for (const id of changed) {
      changed.delete(id);
      const here = $("#case")?.dataset.id === id;
      if (!here && !document.getElementById("row-" + id)) continue;
      if (here && $(".labels")) continue; // words of the post may be selected for it
      try {
        const got = await load("/cases/" + id + location.search, here ? "case" : "row");
        if (got?.ok && !(here && exchanged(got.html))) swap(got.html, "others");
      } catch (err) { /* as above */ }
    }
  });
  function live(url, lost = 0) {
    let late;
    const source = new EventSource(url);
    source.onopen = () => {
      clearTimeout(late);
      if (lost) { $("#stale").hidden = true; say(words.back); fresh(); const id = $("#case")?.dataset.id; if (id) { changed.add(id); follow(); } const form = $("#c-form"); if (form) autosave(form); }
      lost = 0;
    };
    source.onerror = () => {
      if (!lost) {
        lost = Date.now();
        late = setTimeout(() => {
          $("#stale time").textContent = new Date(lost).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
          $("#stale").hidden = false;
        }, 4000);
      }
      if (source.readyState === EventSource.CLOSED) setTimeout(() => live(url, lost), 5000 + Math.random() * 5000);
    };
    source.addEventListener("counts", (e) => {
      for (const [name, n] of Object.entries(JSON.parse(e.data))) {
        const el = document.getElementById("count-" + name);
        if (el) { el.textContent = n.toLocaleString(); el.hidden = !n; }
      }
    });
    source.addEventListener("present", (e) => {
      for (const id of JSON.parse(e.data).ids) {
        if (id === $("#case")?.dataset.id) others();
        else if (document.getElementById("row-" + id)) { changed.add(id); follow(); }
      }
      board();
    });
    source.addEventListener("told", (e) => told(JSON.parse(e.data)));
    source.addEventListener("new", () => { fresh(); board(); });
    source.addEventListener("changed", (e) => { for (const id of JSON.parse(e.data).ids) changed.add(id); follow(); });
  }

  // Signs of life: colleagues see who looks at the same case, and who writes.
  let acted = Date.now(), typed = 0, shownCase = "";
  for (const type of ["pointerdown", "keydown", "scroll"]) addEventListener(type, () => { acted = Date.now(); }, { passive: true, capture: true });
  async function sign() {
    const id = $("#case")?.dataset.id ?? "";
    if (shownCase && shownCase !== id) navigator.sendBeacon(`/cases/${shownCase}/present`, new URLSearchParams({ doing: "" }));
    shownCase = id;
    if (!id) return;
    const doing = document.hidden || Date.now() - acted > 60000 ? "idle" : Date.now() - typed < 20000 ? "editing" : "viewing";
    try {
      const got = await load(`/cases/${id}/present`, "present", { method: "POST", body: new URLSearchParams({ doing }) });
      if (got?.ok && $("#case")?.dataset.id === id) swap(got.html);
    } catch (err) { /* the stale mark tells */ }
  }
  const others = later(300, sign);
  addEventListener("pagehide", () => { if (shownCase) navigator.sendBeacon(`/cases/${shownCase}/present`, new URLSearchParams({ doing: "" })); });

  // Clocks.
  const put = (text, n) => text.replace("{0}", n);
  function tick() {
    const now = Date.now();
    for (const el of $$("time[data-due]")) {
      let s = (Date.parse(el.dateTime) - now) / 1000;
      const sign = s < 0 ? "−" : "";
      el.classList.toggle("late", s < 0);
      el.classList.toggle("soon", s >= 0 && s < 3600);
      s = Math.abs(s);
      el.textContent = sign + (s >= 86400 ? put(words.days, Math.floor(s / 86400)) : Math.floor(s / 3600) + ":" + String(Math.floor(s / 60) % 60).padStart(2, "0"));
    }
    for (const el of $$("time[data-ago]")) {
      const s = (now - Date.parse(el.dateTime)) / 1000;
      if (s < 60 || s >= 86400) continue;
      el.textContent = s < 3600 ? put(words.min, Math.floor(s / 60)) : put(words.h, Math.floor(s / 3600));
    }
  }

  // Panes keep the width they were given: the list from the left, the details
  // from the right.
  function splits(from) {
    const root = document.documentElement.style;
    for (const el of $$("[data-split]", from)) {
      const name = el.dataset.split, key = "earshot:width:" + name, right = name === "context";
      const pane = () => right ? el.nextElementSibling : el.previousElementSibling;
      const room = () => wide() && (!right || innerWidth > 1100);
      const set = (px) => { px = Math.round(Math.min(Math.max(px, 240), innerWidth * (right ? .4 : .55))); root.setProperty("--" + name, px + "px"); el.setAttribute("aria-valuenow", px); localStorage.setItem(key, px); };
      el.hidden = !room();
      el.setAttribute("aria-valuenow", Math.round(pane().offsetWidth));
      if (localStorage.getItem(key) && room()) set(+localStorage.getItem(key));
      el.addEventListener("pointerdown", (e) => {
        el.setPointerCapture(e.pointerId);
        const { left, right: end } = pane().getBoundingClientRect();
        const move = (m) => set(right ? end - m.clientX : m.clientX - left);
        el.addEventListener("pointermove", move);
        el.addEventListener("pointerup", () => el.removeEventListener("pointermove", move), { once: true });
      });
      el.addEventListener("keydown", (e) => {
        const by = { ArrowLeft: -16, ArrowRight: 16 }[e.key];
        if (by) { e.preventDefault(); set(pane().offsetWidth + (right ? -by : by)); }
      });
    }
  }

  for (const el of $$("[data-zone]")) el.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  ready(document);
  setInterval(tick, 15000);
  setInterval(() => {
    for (const el of $$("time[data-seconds]")) el.textContent = Math.max(0, Math.ceil((Date.parse(el.dateTime) - Date.now()) / 1000));
  }, 500);
  if (document.body.dataset.live) { live(document.body.dataset.live); sign(); setInterval(sign, 15000); document.addEventListener("visibilitychange", sign); }
  const shown = $("#flash");
  if (shown && !shown.hidden) fade(shown);
})();
