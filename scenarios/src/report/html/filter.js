// Filters each log of the page by text, node and chain.
for (const log of document.querySelectorAll(".log")) {
  const text = log.querySelector("[data-filter=text]");
  const node = log.querySelector("[data-filter=node]");
  const chain = log.querySelector("[data-filter=chain]");
  const count = log.querySelector(".count");
  const rows = [...log.querySelectorAll("tbody tr")].map((row) => ({
    row,
    text: row.textContent.toLowerCase(),
    nodes: row.dataset.nodes.split(" "),
    chain: row.classList.contains("chain"),
  }));
  const apply = () => {
    const wanted = text.value.toLowerCase();
    let shown = 0;
    for (const each of rows) {
      const show =
        each.text.includes(wanted) &&
        (node.value === "" || each.nodes.includes(node.value)) &&
        (!chain.checked || each.chain);
      each.row.hidden = !show;
      if (show) shown += 1;
    }
    count.textContent = shown === rows.length ? `${shown} entries` : `${shown} of ${rows.length} entries`;
  };
  for (const control of [text, node, chain]) control.addEventListener("input", apply);
}
