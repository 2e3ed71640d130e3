// Sorting, filtering, addresses, export. Everything else is readable without it.
(function () {
  "use strict";
  function all(selector, root) { return Array.prototype.slice.call((root || document).querySelectorAll(selector)); }
  function make(tag, attributes, text) {
    var node = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (key) { node.setAttribute(key, attributes[key]); });
    if (text) { node.textContent = text; }
    return node;
  }
  document.documentElement.classList.add("js");

  // The rows behind the page: decoded once, when first needed.
  var decoded = null;
  function data() {
    if (!decoded) {
      var source = JSON.parse(document.getElementById("rows").textContent);
      decoded = source.rows.map(function (values) {
        var row = {};
        source.fields.forEach(function (name, i) { row[name] = i < source.texts ? source.strings[values[i]] : values[i]; });
        return row;
      });
    }
    return decoded;
  }
  var index = null;
  function measured(dataset, column, row) {
    if (!index) {
      index = new Map();
      data().forEach(function (item) {
        index.set([item.dataset, item.metric, item.protocol, item.split, item.slice, item.generator, item.variant].join("|").replace(/ /g, "_"), item);
      });
    }
    var place = row.id.split("/");
    return index.get([dataset, column, place[1], place.slice(2).join("/")].join("|").replace(/ /g, "_"));
  }

  // One Tab stop for many things: arrow keys, Home and End move among them.
  function roving(box, selector, lines) {
    function stops() { return all(selector, box).filter(function (node) { return node.getClientRects().length; }); }
    box.addEventListener("focusin", function (event) {
      if (!event.target.matches(selector)) { return; }
      all(selector, box).forEach(function (node) { node.tabIndex = node === event.target ? 0 : -1; });
    });
    box.addEventListener("keydown", function (event) {
      var list = stops(), at = list.indexOf(document.activeElement), to = at;
      if (at < 0) { return; }
      function line(i) { return lines ? list[i].closest("tr") : null; }
      if (event.key === "ArrowRight" || (!lines && event.key === "ArrowDown")) { to = at + 1; }
      else if (event.key === "ArrowLeft" || (!lines && event.key === "ArrowUp")) { to = at - 1; }
      else if (event.key === "ArrowDown") { while (to < list.length && line(to) === line(at)) { to += 1; } }
      else if (event.key === "ArrowUp") { while (to >= 0 && line(to) === line(at)) { to -= 1; } }
      else if (event.key === "Home") { to = 0; } else if (event.key === "End") { to = list.length - 1; } else { return; }
      event.preventDefault();
      if (list[to]) { list[to].focus(); }
    });
    all(selector, box).forEach(function (node, i) { node.tabIndex = i ? -1 : 0; });
  }

  // Tables.
  function key(row, place, kind) {
    var cell = row.cells[place];
    if (kind === "text") { return cell.textContent.trim().toLowerCase(); }
    var text = cell.getAttribute("data-v");
    return text === null ? null : text === "inf" ? Infinity : text === "-inf" ? -Infinity : parseFloat(text);
  }
  function arrange(items, place, kind, up) {
    return items.map(function (item, i) { return { item: item, key: key(item[0], place, kind), i: i }; }).sort(function (a, b) {
      if (a.key === null || b.key === null) { return a.key === b.key ? a.i - b.i : a.key === null ? 1 : -1; }
      return a.key === b.key ? a.i - b.i : (a.key < b.key ? -1 : 1) * (up ? 1 : -1);
    }).map(function (one) { return one.item; });
  }
  var views = {};
  function setUp(table) {
    var id = table.getAttribute("data-table"), board = table.closest(".board"), body = table.tBodies[0];
    var given = all("tr", body), ranked = table.classList.contains("ranked"), opened = {};
    var view = views[id] = { q: "", settings: !ranked, refs: true, more: false, sort: -1, up: true };
    var first = Object.assign({}, view), inputs = {};

    function groups() {
      var found = [], last = {};
      given.forEach(function (row) {
        var name = row.getAttribute("data-g");
        if (row.classList.contains("setting") && last[name] && !view.settings) { last[name].push(row); } else { found.push(last[name] = [row]); }
      });
      return found;
    }
    function draw() {
      var words = view.q.toLowerCase().split(/\s+/).filter(Boolean), order = groups();
      var head = all("thead th", table);
      head.forEach(function (th) { th.removeAttribute("aria-sort"); });
      if (view.sort >= 0 && head[view.sort]) {
        order = arrange(order, view.sort, head[view.sort].getAttribute("data-best"), view.up);
        head[view.sort].setAttribute("aria-sort", view.up ? "ascending" : "descending");
      }
      order.forEach(function (group) { group.forEach(function (row) { body.appendChild(row); }); });
      given.forEach(function (row) {
        var text = row.id.slice(row.id.indexOf("/")).toLowerCase();
        var fits = words.every(function (word) { return text.indexOf(word) >= 0; });
        var folded = row.classList.contains("setting") && !view.settings && !words.length && !opened[row.getAttribute("data-g")];
        row.hidden = !fits || folded || (!view.refs && !row.classList.contains("generator"));
      });
      table.classList.toggle("narrow", !view.more);
      Object.keys(inputs).forEach(function (name) {
        if (inputs[name].type === "checkbox") { inputs[name].checked = view[name]; } else { inputs[name].value = view[name]; }
      });
    }
    view.draw = draw;
    view.show = function (row) { opened[row.getAttribute("data-g")] = true; view.q = ""; view.refs = true; draw(); };
    function changed() {
      draw();
      var parts = ["q", "settings", "refs", "more", "sort", "up"].filter(function (name) { return view[name] !== first[name]; }).map(function (name) {
        return name + "=" + encodeURIComponent(view[name] === true ? 1 : view[name] === false ? 0 : view[name]);
      });
      history.replaceState(null, "", "#" + (parts.length ? ["view=" + id].concat(parts).join("&") : "table-" + id));
    }

    all("thead th[data-best]", table).forEach(function (th) {
      var button = make("button", { type: "button" }), label = th.querySelector(".head");
      if (label) { th.insertBefore(button, label); button.appendChild(label); } else { button.textContent = th.textContent; th.textContent = ""; th.appendChild(button); }
      button.addEventListener("click", function () {
        var again = view.sort === th.cellIndex;
        view.up = again ? !view.up : th.getAttribute("data-best") !== "down";
        view.sort = th.cellIndex;
        changed();
      });
    });
    var counts = {};
    given.forEach(function (row) { if (row.classList.contains("setting")) { counts[row.getAttribute("data-g")] = (counts[row.getAttribute("data-g")] || 0) + 1; } });
    given.forEach(function (row) {
      var name = row.getAttribute("data-g"), rank = row.querySelector("td.rank");
      if (rank) {
        var link = make("a", { href: "#" + encodeURI(row.id), title: "Address of this row" }, rank.textContent);
        rank.textContent = "";
        rank.appendChild(link);
      }
      if (ranked && !row.classList.contains("setting") && counts[name]) {
        var button = make("button", { type: "button", "class": "unfold", "aria-expanded": "false" }, "+ " + counts[name] + (counts[name] > 1 ? " settings" : " setting"));
        button.addEventListener("click", function () {
          opened[name] = !opened[name];
          button.setAttribute("aria-expanded", String(opened[name]));
          draw();
        });
        row.querySelector(".model").appendChild(button);
      }
    });

    var box = make("div", { "class": "controls" });
    function control(name, kind, text) {
      var label = make("label", {}, kind === "search" ? text + " " : ""), input = inputs[name] = make("input", { type: kind });
      input.setAttribute("data-" + name, id);
      if (kind === "search") { input.placeholder = "name or setting"; label.appendChild(input); } else { label.appendChild(input); label.appendChild(document.createTextNode(" " + text)); }
      input.addEventListener("input", function () { view[name] = kind === "search" ? input.value : input.checked; changed(); });
      box.appendChild(label);
    }
    if (given.length > 6) { control("q", "search", "Filter"); }
    if (table.hasAttribute("data-folded")) { control("settings", "checkbox", "all " + table.getAttribute("data-folded") + " other settings"); }
    if (given.some(function (row) { return !row.classList.contains("generator"); })) { control("refs", "checkbox", "baselines and real data"); }
    if (table.hasAttribute("data-more")) { control("more", "checkbox", table.getAttribute("data-more") + " more columns"); }
    box.appendChild(menu(function () { return exported(table, id); }, id));
    board.insertBefore(box, board.querySelector(".scroll"));
    table.addEventListener("mouseover", function (event) {
      var cell = event.target.closest("td"), th = cell && table.tHead.rows[0].cells[cell.cellIndex];
      if (!cell || cell.title || !th.hasAttribute("data-column") || !cell.textContent) { return; }
      var item = measured(table.getAttribute("data-dataset"), th.getAttribute("data-column"), cell.parentNode);
      if (item) { cell.title = "n = " + item.n + (item.rank && ranked ? ", rank " + item.rank + (item.rank_to !== item.rank ? "–" + item.rank_to : "") : "") + ", " + item.protocol; }
    });
    draw();
    roving(table, "thead button, tbody a, tbody .unfold", true);
  }

  // Export of what a table shows.
  function exported(table, id) {
    var head = table.tHead.rows[0], rows = all("tbody tr", table).filter(function (row) { return !row.hidden; });
    var columns = all("th", head).map(function (th, i) { return i; }).filter(function (i) {
      return !head.cells[i].classList.contains("pic") && head.cells[i].getClientRects().length;
    });
    function cell(node) {
      var copy = node.cloneNode(true), small = copy.querySelector("small, .variant"), text;
      all(".unfold, .note", copy).forEach(function (one) { one.remove(); });
      if (small) { small.remove(); }
      text = copy.textContent.replace(/\s+/g, " ").trim();
      return small ? text + (small.tagName === "SMALL" ? " [" + small.textContent + "]" : " (" + small.textContent + ")") : text;
    }
    function lines() { return [head].concat(rows).map(function (row) { return columns.map(function (i) { return cell(row.cells[i]); }); }); }
    function long() {
      var found = [];
      rows.forEach(function (row) {
        columns.forEach(function (i) {
          var column = head.cells[i].getAttribute("data-column");
          var item = column && measured(table.getAttribute("data-dataset"), column, row);
          if (item) { found.push(item); }
        });
      });
      return found;
    }
    return { name: id, lines: lines, rows: long };
  }
  function tsv(lines) { return lines.map(function (line) { return line.join("\t"); }).join("\n") + "\n"; }
  function markdown(lines) {
    var text = lines.map(function (line) { return "| " + line.map(function (one) { return one.replace(/\|/g, "\\|"); }).join(" | ") + " |"; });
    text.splice(1, 0, "|" + lines[0].map(function () { return " --- |"; }).join(""));
    return text.join("\n") + "\n";
  }
  function latex(lines) {
    var signs = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "∞": "$\\infty$", "–": "--", "·": "$\\cdot$", "µ": "$\\mu$", "÷": "$\\div$", "×": "$\\times$" };
    function safe(text) { return text.replace(/[\\~^↑↓∞–·µ÷×]|[&%$#_{}]/g, function (sign) { return signs[sign] || "\\" + sign; }); }
    var body = lines.map(function (line) { return line.map(safe).join(" & ") + " \\\\"; });
    return ["\\begin{tabular}{" + lines[0].map(function (_, i) { return i < 2 ? "l" : "r"; }).join("") + "}", "\\hline", body[0], "\\hline"].concat(body.slice(1), ["\\hline", "\\end{tabular}", ""]).join("\n");
  }
  function csv(rows) {
    var names = Object.keys(rows[0] || {}).filter(function (name) { return name !== "further"; });
    function quoted(value) { var text = value === null ? "" : String(value); return /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text; }
    return [names.join(",")].concat(rows.map(function (row) { return names.map(function (name) { return quoted(row[name]); }).join(","); })).join("\n") + "\n";
  }
  function json(rows) { return JSON.stringify(rows.map(function (row) { var copy = Object.assign({}, row); delete copy.further; return copy; }), null, 1) + "\n"; }
  function save(name, kind, text) {
    var link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: kind })) });
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  }
  function copy(text, said) {
    function by() {
      var area = make("textarea"), done;
      area.value = text;
      document.body.appendChild(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
      said.textContent = done ? "copied" : "the browser refused";
    }
    if (navigator.clipboard) { navigator.clipboard.writeText(text).then(function () { said.textContent = "copied"; }, by); } else { by(); }
  }
  function menu(source, id) {
    var box = make("details", { "class": "menu", "data-export": id }), list = make("div"), said = make("span", { "aria-live": "polite", "class": "soft" });
    box.appendChild(make("summary", {}, "Export"));
    [["Copy as TSV", tsv], ["Copy as Markdown", markdown], ["Copy as LaTeX", latex]].forEach(function (kind) {
      var button = make("button", { type: "button" }, kind[0]);
      button.addEventListener("click", function () { copy(kind[1](source().lines()), said); });
      list.appendChild(button);
    });
    [["Download CSV", "text/csv", ".csv", csv], ["Download JSON", "application/json", ".json", json]].forEach(function (kind) {
      var button = make("button", { type: "button" }, kind[0]);
      button.addEventListener("click", function () { var from = source(); save(from.name + kind[2], kind[1], kind[3](from.rows())); });
      list.appendChild(button);
    });
    list.appendChild(said);
    box.appendChild(list);
    return box;
  }
  all("table.leader").forEach(setUp);
  all(".strip, svg.timeline").forEach(function (box) { roving(box, "a", false); });
  all(".all-rows").forEach(function (line) {
    [["all rows as CSV", "text/csv", "leaderboard.csv", csv], ["all rows as JSON", "application/json", "leaderboard-rows.json", json]].forEach(function (kind) {
      var button = make("button", { type: "button" }, kind[0]);
      button.addEventListener("click", function () { save(kind[2], kind[1], kind[3](data())); });
      line.appendChild(button);
      line.appendChild(document.createTextNode(" "));
    });
    line.appendChild(document.createTextNode("(six significant digits; the exact numbers are in the files)"));
    line.classList.add("controls");
  });

  // Rows that no table shows, drawn when they are asked for.
  all("details.further").forEach(function (box) {
    box.addEventListener("toggle", function () {
      if (!box.open || box.querySelector("table")) { return; }
      var scroll = make("div", { "class": "scroll", tabindex: "0", role: "group", "aria-label": "Further measurements, scrolls sideways on a narrow screen" });
      var table = make("table", { "class": "plain small" }), head = table.createTHead().insertRow(), body = table.createTBody();
      ["generator", "setting", "metric", "slice", "value", "95 % interval", "protocol"].forEach(function (name) { head.appendChild(make("th", { scope: "col" }, name)); });
      function number(value) { return value === null ? "" : String(parseFloat(value.toPrecision(4))); }
      data().forEach(function (item) {
        if (!item.further || item.family !== box.getAttribute("data-family")) { return; }
        var row = body.insertRow();
        row.appendChild(make("th", { scope: "row" }, item.generator));
        [item.variant, item.metric, [item.slice, item.split === "test" ? "" : item.split].join(" ").trim()].forEach(function (text) { row.appendChild(make("td", {}, text)); });
        row.appendChild(make("td", { "class": "num" }, item.value === null ? "∞" : number(item.value)));
        row.appendChild(make("td", { "class": "num" }, item.low === null ? "" : number(item.low) + " – " + number(item.high)));
        row.appendChild(make("td", {}, item.protocol));
      });
      scroll.appendChild(table);
      box.appendChild(scroll);
    });
  });

  // Claims: by verdict and family.
  all(".claim-tables").forEach(function (tables) {
    var rows = all("table.claims tbody tr", tables), shown = { fails: true, unclear: true, holds: true }, family = "";
    var box = make("div", { "class": "controls" }), select = make("select"), label = make("label", {}, "Family ");
    function draw() { rows.forEach(function (row) { row.hidden = !shown[row.className] || (family && row.getAttribute("data-family") !== family); }); }
    [["fails", "failing"], ["unclear", "open"], ["holds", "holding"]].forEach(function (kind) {
      var button = make("button", { type: "button", "aria-pressed": "true", "data-verdict": kind[0] }, kind[1]);
      button.addEventListener("click", function () {
        shown[kind[0]] = !shown[kind[0]];
        button.setAttribute("aria-pressed", String(shown[kind[0]]));
        draw();
      });
      box.appendChild(button);
    });
    select.appendChild(make("option", { value: "" }, "every family"));
    var names = {};
    rows.forEach(function (row) { names[row.getAttribute("data-family")] = row.cells[3].textContent; });
    Object.keys(names).forEach(function (name) { select.appendChild(make("option", { value: name }, names[name])); });
    select.addEventListener("change", function () {
      family = select.value;
      if (family) { all("details.fold", tables).forEach(function (fold) { fold.open = true; }); }
      draw();
    });
    label.appendChild(select);
    box.appendChild(label);
    tables.insertBefore(box, tables.firstChild);
  });

  // Loops play while they are in sight, unless the reader asked for calm or stopped them.
  all("video").forEach(function (video) { var poster = video.parentNode.querySelector("img.poster"); if (poster) { video.poster = poster.src; } });
  if ("IntersectionObserver" in window && !window.matchMedia("(prefers-reduced-motion: reduce)").matches) {
    var watch = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        var video = entry.target;
        video.inSight = entry.isIntersecting;
        if (!entry.isIntersecting) { video.pause(); } else if (!video.stopped) { video.play().catch(function () {}); }
      });
    }, { threshold: 0.6 });
    all("video[loop]").forEach(function (video) {
      video.addEventListener("pause", function () { if (video.inSight) { video.stopped = true; } });
      video.addEventListener("play", function () { video.stopped = false; });
      watch.observe(video);
    });
  }

  // Addresses: of a thing, or of a table's view.
  function open() {
    var hash = decodeURIComponent(location.hash.slice(1)), target = hash && document.getElementById(hash), view;
    if (hash.indexOf("view=") === 0) {
      var wanted = {};
      location.hash.slice(1).split("&").forEach(function (part) { var at = part.indexOf("="); wanted[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1)); });
      view = views[wanted.view];
      if (view) {
        ["settings", "refs", "more", "up"].forEach(function (name) { if (name in wanted) { view[name] = wanted[name] === "1"; } });
        if ("q" in wanted) { view.q = wanted.q; }
        if ("sort" in wanted) { view.sort = parseInt(wanted.sort, 10); }
        view.draw();
        target = document.getElementById("table-" + wanted.view);
      }
    }
    if (target && target.tagName === "TR" && target.hidden) {
      if (target.id.indexOf("row=") === 0) { views[target.closest("table").getAttribute("data-table")].show(target); } else { target.hidden = false; }
    }
    for (var node = target; node; node = node.parentElement) { if (node.tagName === "DETAILS") { node.open = true; } }
    if (target && target.id.indexOf("claim-") === 0) { target.querySelector("details").open = true; }
    if (target) { target.scrollIntoView({ block: target.tagName === "TR" ? "center" : "start" }); }
  }
  window.addEventListener("hashchange", open);
  open();
  // There is room for pictures on a wide screen; a phone opens them on request.
  if (window.matchMedia("(min-width: 900px)").matches) { all("details.gallery").forEach(function (box) { box.open = true; }); }
})();
