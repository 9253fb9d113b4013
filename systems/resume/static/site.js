// What the site can do beyond pages: remember a theme, and say how much of a message still fits. Nothing needs it.
"use strict";

const root = document.documentElement;
const button = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try { return localStorage.getItem("theme"); } catch { return null; }
}

function show() {
  const theme = chosen();
  if (theme) root.dataset.theme = theme;
  const isDark = theme ? theme === "dark" : dark.matches;
  button.textContent = isDark ? "Light" : "Dark";
  button.setAttribute("aria-label", `Use the ${isDark ? "light" : "dark"} theme`);
}

button.hidden = false;
button.addEventListener("click", () => {
  try { localStorage.setItem("theme", button.textContent.toLowerCase()); } catch { return; }
  show();
});
dark.addEventListener("change", show);
show();

const text = document.getElementById("message");
if (text) {
  const left = document.createElement("p");
  left.className = "left";
  left.setAttribute("role", "status");
  text.after(left);
  const tell = () => {
    const rest = text.maxLength - text.textLength;
    left.textContent = rest < 500 ? `${rest} characters left` : "";
  };
  text.addEventListener("input", tell);
  tell();
}
