// Shows the figures of a moment where the pointer is. The charts are complete without it.
for (const plot of document.querySelectorAll(".plot")) {
  const data = JSON.parse(plot.dataset.pointer);
  if (!data.at.length) continue;
  const line = plot.appendChild(document.createElement("div"));
  const box = plot.appendChild(document.createElement("div"));
  line.className = "cursor";
  box.className = "reading";
  plot.addEventListener("pointermove", (event) => {
    const room = plot.getBoundingClientRect();
    const at = (event.clientX - room.left) / room.width;
    const away = (index) => Math.abs(data.at[index] - at);
    const best = data.at.reduce((best, _, index) => (away(index) < away(best) ? index : best), 0);
    const title = document.createElement("strong");
    title.textContent = data.titles[best];
    const rows = data.series.map(([style, name, values]) => {
      const row = document.createElement("span");
      const key = document.createElement("i");
      const figure = document.createElement("b");
      row.className = style;
      figure.textContent = values[best];
      row.append(key, name, figure);
      return row;
    });
    box.replaceChildren(title, ...rows);
    plot.classList.add("pointed");
    const most = room.width - box.offsetWidth;
    line.style.left = `${data.at[best] * 100}%`;
    box.style.left = `${Math.max(0, Math.min(most, data.at[best] * room.width - box.offsetWidth / 2))}px`;
  });
  plot.addEventListener("pointerleave", () => plot.classList.remove("pointed"));
}
