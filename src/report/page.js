// The script of a report's page: tables with a search and an order. Its data is what columns.ts describes. Every text goes
// into the page by textContent, so that none becomes markup.
"use strict";
(() => {
  const PAGE_ROWS = 50;
  const numbers = new Intl.NumberFormat("en-US");
  const tables = JSON.parse(document.getElementById("data").textContent);
  const search = document.getElementById("search");

  const made = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const valueAt = (column, row) => {
    if (column.kind !== "text") return column.values[row];
    const at = column.at[row];
    return at < 0 ? null : column.words[at];
  };

  const writers = {
    text: (value) => value,
    number: (value) => numbers.format(typeof value === "string" ? BigInt(value) : value),
    // Microseconds.
    duration: (value) =>
      `${(value / 1000).toLocaleString("en-US", { minimumFractionDigits: 3, maximumFractionDigits: 3 })} ms`,
    time: (value) => new Date(value / 1000).toISOString().slice(0, 23).replace("T", " "),
  };
  const textAt = (column, row) => {
    const value = valueAt(column, row);
    return value === null ? "-" : writers[column.kind](value);
  };

  // Which rows have the word: numbers by the whole number, texts by a part of them.
  const holders = (table, word) => {
    const found = new Uint8Array(table.rows);
    for (const column of table.columns) {
      if (column.kind === "text") {
        const hits = column.words.map((text) => text.toLowerCase().includes(word));
        column.at.forEach((at, row) => {
          if (at >= 0 && hits[at]) found[row] = 1;
        });
      } else if (column.kind === "number" && /^\d+$/.test(word)) {
        column.values.forEach((value, row) => {
          if (value !== null && String(value) === word) found[row] = 1;
        });
      }
    }
    return found;
  };

  const rowsWith = (table, query) => {
    let rows = Uint32Array.from({ length: table.rows }, (_, row) => row);
    for (const part of query.toLowerCase().split(/\s+/)) {
      const word = part.replace(/^!/, "");
      if (word === "") continue;
      const found = holders(table, word);
      const wanted = part.startsWith("!") ? 0 : 1;
      rows = rows.filter((row) => found[row] === wanted);
    }
    return rows;
  };

  // By its value, texts as text; what is not known comes last either way.
  const inOrder = (rows, column, down) => {
    const isText = column.kind === "text";
    const ranks = isText ? rankOf(column.words) : null;
    const key = (row) => {
      if (isText) return column.at[row] < 0 ? null : ranks[column.at[row]];
      const value = column.values[row];
      return value === null ? null : Number(value);
    };
    return Array.from(rows, (row) => ({ row, key: key(row) }))
      .sort((a, b) => {
        if (a.key === null || b.key === null)
          return (a.key === null) - (b.key === null) || a.row - b.row;
        return (down ? b.key - a.key : a.key - b.key) || a.row - b.row;
      })
      .map(({ row }) => row);
  };

  const rankOf = (words) => {
    const ranks = new Uint32Array(words.length);
    const order = words.map((_, at) => at).sort((a, b) => (words[a] < words[b] ? -1 : 1));
    order.forEach((at, rank) => {
      ranks[at] = rank;
    });
    return ranks;
  };

  const show = (table) => {
    const section = made("section");
    const count = made("p", "note");
    const scroll = made("div", "scroll");
    const grid = made("table");
    const body = made("tbody");
    const pager = made("p", "pager");
    const [back, next] = [made("button", "", "back"), made("button", "", "next")];
    const where = made("span");
    let rows = [];
    let order = null;
    let first = 0;

    const draw = () => {
      body.replaceChildren(
        ...Array.from(rows.slice(first, first + PAGE_ROWS), (row) => {
          const line = made("tr");
          for (const column of table.columns) {
            const text = textAt(column, row);
            const cell = made(
              "td",
              column.kind === "text" || column.kind === "time" ? "" : "right",
              text,
            );
            if (text.length > 40) cell.title = text;
            line.append(cell);
          }
          return line;
        }),
      );
      const shown = numbers.format(rows.length);
      count.textContent = `${rows.length === table.rows ? shown : `${shown} of ${numbers.format(table.rows)}`} rows. ${table.note}`;
      pager.hidden = rows.length <= PAGE_ROWS;
      back.disabled = first === 0;
      next.disabled = first + PAGE_ROWS >= rows.length;
      where.textContent = `rows ${numbers.format(first + 1)} to ${numbers.format(Math.min(rows.length, first + PAGE_ROWS))}`;
    };
    const choose = () => {
      rows = rowsWith(table, search.value);
      if (order !== null) rows = inOrder(rows, order.column, order.down);
      first = 0;
      section.hidden = rows.length === 0 && search.value.trim() !== "";
      draw();
    };

    const titles = made("tr");
    for (const column of table.columns) {
      const isText = column.kind === "text";
      const title = made("th", isText || column.kind === "time" ? "" : "right");
      title.scope = "col";
      const button = made("button", "", column.title);
      button.addEventListener("click", () => {
        const again = order !== null && order.column === column;
        order = { column, down: again ? !order.down : !isText };
        for (const other of titles.children) other.removeAttribute("aria-sort");
        title.setAttribute("aria-sort", order.down ? "descending" : "ascending");
        for (const other of titles.querySelectorAll("button"))
          other.textContent = other.dataset.title;
        button.textContent = `${column.title} ${order.down ? "▾" : "▴"}`;
        choose();
      });
      button.dataset.title = column.title;
      title.append(button);
      titles.append(title);
    }
    const turn = (by) => () => {
      first += by * PAGE_ROWS;
      draw();
    };
    back.addEventListener("click", turn(-1));
    next.addEventListener("click", turn(1));
    const head = made("thead");
    head.append(titles);
    grid.append(head, body);
    scroll.append(grid);
    pager.append(back, next, where);
    section.append(made("h2", "", table.title), count, scroll, pager);
    document.getElementById("tables").append(section);
    choose();
    return choose;
  };

  const all = tables.map(show);
  let waiting = 0;
  const searched = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => all.forEach((choose) => choose()), 120);
  };
  search.addEventListener("input", searched);
  for (const node of document.querySelectorAll("[data-search]"))
    node.addEventListener("click", () => {
      const word = node.dataset.search;
      search.value = search.value === word ? "" : word;
      searched();
    });
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
