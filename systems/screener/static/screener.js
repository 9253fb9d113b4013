// Saves page loads. Without this script every link and form still works.
"use strict";

const root = document.documentElement;

// --- theme: the system's, until someone chooses ---
const themeButton = document.getElementById("theme");
const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
function showTheme(chosen) {
  if (chosen) root.dataset.theme = chosen;
  themeButton.textContent = isDark() ? "Light" : "Dark";
}
try { showTheme(localStorage.getItem("theme")); } catch { showTheme(null); }
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  const chosen = isDark() ? "light" : "dark";
  showTheme(chosen);
  try { localStorage.setItem("theme", chosen); } catch { /* private windows keep nothing */ }
});

// --- on narrow windows the filters start folded ---
if (matchMedia("(max-width: 860px)").matches) document.querySelector(".fold")?.removeAttribute("open");

// --- links of the table and changes of the filter replace what they change, and nothing else ---
const results = () => document.getElementById("results");
let latest = null;

async function show(url, { push = true, focus = false } = {}) {
  latest?.abort();
  latest = new AbortController();
  results().setAttribute("aria-busy", "true");
  let page;
  try {
    const response = await fetch(url, { signal: latest.signal, headers: { accept: "text/html" } });
    page = new DOMParser().parseFromString(await response.text(), "text/html");
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
    return;
  }
  if (!page.querySelector("#filter")) return location.assign(url);
  results().replaceWith(page.getElementById("results"));
  replaceSide(page);
  if (push) history.pushState(null, "", url);
  document.title = page.title;
  if (focus) results().focus({ preventScroll: true });
}

// The side is replaced around whoever types in it: scroll, focus and folds stay.
function replaceSide(page) {
  const side = document.querySelector(".side");
  const active = document.activeElement;
  const where = side.contains(active) && active.name ? [active.name, active.value, active.selectionStart] : null;
  const top = side.scrollTop;
  const folds = [...side.querySelectorAll("details")].map((fold) => fold.open);
  side.replaceChildren(...page.querySelector(".side").childNodes);
  side.querySelectorAll("details").forEach((fold, at) => { fold.open = folds[at] ?? fold.open; });
  side.scrollTop = top;
  if (!where) return;
  const [name, value, caret] = where;
  const same = [...side.querySelectorAll("input")].filter((input) => input.name === name);
  const input = same.find((input) => input.type !== "checkbox" || input.value === value);
  if (!input) return;
  if (input.type !== "checkbox" && input.type !== "hidden") {
    input.value = value;
    input.focus({ preventScroll: true });
    input.setSelectionRange?.(caret, caret);
  } else input.focus({ preventScroll: true });
}

function filterUrl(form) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value.trim()) query.append(name, value.trim());
  return query.size ? `/?${query}` : "/";
}

let pause;
document.addEventListener("input", (event) => {
  const form = event.target.closest("#filter");
  if (!form) return;
  clearTimeout(pause);
  pause = setTimeout(() => show(filterUrl(form)), event.target.type === "checkbox" ? 0 : 350);
});
document.addEventListener("submit", (event) => {
  if (event.target.id !== "filter") return;
  event.preventDefault();
  clearTimeout(pause);
  show(filterUrl(event.target), { focus: true });
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a");
  if (!link || !document.getElementById("filter") || link.hasAttribute("download")) return;
  if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.pathname !== "/") return;
  event.preventDefault();
  // Sorting, paging and chips all come out of the table; whoever pressed Clear sees empty inputs.
  if (link.closest(".side")) document.activeElement?.blur();
  show(link.href, { focus: Boolean(link.closest(".pages")) });
});
addEventListener("popstate", () => { if (document.getElementById("filter")) show(location.href, { push: false }); });

// --- keyboard: / searches, up and down walk the rows ---
document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
  if (event.key === "/" && !isTyping) {
    const search = document.querySelector("input[name=q]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !isTyping) {
    const rows = [...document.querySelectorAll("tbody .company a")];
    const at = rows.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    rows[at + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
  }
});
