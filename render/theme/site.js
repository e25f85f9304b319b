// Behaviour of the book's pages. No dependency but MiniSearch, which is loaded when the
// search is first opened. Everything here is an extra: without scripts the book still reads.
(() => {
  "use strict";

  const root = document.documentElement;
  const siteRoot = new URL("../", document.currentScript.src);
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children); // strings become text nodes, never HTML
    return element;
  }

  // ---- Theme: the system's, unless the reader chose otherwise ---------------------------
  const themeButton = one(".theme-button");
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);

  function showTheme() {
    themeButton.setAttribute("aria-pressed", String(isDark()));
    const background = getComputedStyle(document.body).backgroundColor;
    for (const meta of all('meta[name="theme-color"]')) meta.content = background;
  }

  function recallTheme() {
    try {
      const theme = localStorage.getItem("book-theme");
      if (theme) root.dataset.theme = theme;
      else delete root.dataset.theme;
    } catch { /* storage is blocked: the choice lasts for this page */ }
    showTheme();
  }

  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("book-theme", root.dataset.theme);
    } catch { /* as above */ }
    showTheme();
  });
  systemDark.addEventListener("change", showTheme);
  addEventListener("storage", recallTheme); // another tab of the book was switched
  addEventListener("pageshow", (event) => event.persisted && recallTheme());
  showTheme();

  // ---- Chapter drawer (small screens) ---------------------------------------------------
  const menuButton = one(".menu-button");
  const drawer = one("#sidebar");
  const drawerOpen = () => root.classList.contains("drawer-open");

  function setDrawer(open) {
    root.classList.toggle("drawer-open", open);
    menuButton.setAttribute("aria-expanded", String(open));
    for (const element of all(".main, .page-toc, .page-footer")) element.inert = open;
    if (open) (one('[aria-current="page"]', drawer) ?? one("a", drawer)).focus();
  }

  menuButton.addEventListener("click", () => setDrawer(!drawerOpen()));
  matchMedia("(min-width: 62.5rem)").addEventListener("change", () => setDrawer(false));
  document.addEventListener("click", (event) => {
    if (drawerOpen() && !event.target.closest(".menu-button, .sidebar, .search")) setDrawer(false);
  });

  // ---- "On this page": the section being read, and a fold on small screens --------------
  const toc = one(".page-toc details");
  const wide = matchMedia("(min-width: 75rem)");

  if (toc) {
    const here = one(".page-toc-here");
    const entries = all("a[href^='#']", toc)
      .map((link) => ({ link, target: document.getElementById(decodeURIComponent(link.hash.slice(1))) }))
      .filter((entry) => entry.target);
    let current;
    let scheduled = false;

    const follow = () => {
      scheduled = false;
      const line = parseFloat(getComputedStyle(root).scrollPaddingTop) + 16;
      const atEnd = scrollY > 0 && innerHeight + scrollY >= root.scrollHeight - 2;
      const passed = entries.filter(({ target }) => target.getBoundingClientRect().top <= line);
      const entry = atEnd ? entries.at(-1) : passed.at(-1);
      if (entry === current) return;
      current?.link.removeAttribute("aria-current");
      current = entry;
      current?.link.setAttribute("aria-current", "location");
      here.textContent = current ? current.link.textContent : "";
      if (wide.matches) current?.link.scrollIntoView({ block: "nearest" });
    };
    const schedule = () => {
      if (!scheduled) requestAnimationFrame(follow);
      scheduled = true;
    };
    addEventListener("scroll", schedule, { passive: true });
    addEventListener("resize", schedule);
    follow();

    wide.addEventListener("change", () => { toc.open = wide.matches; });
    document.addEventListener("click", (event) => {
      const outside = !event.target.closest(".page-toc") || event.target.closest(".page-toc a");
      if (!wide.matches && outside) toc.open = false;
    });
  }

  // ---- Headings, code, wide content -----------------------------------------------------
  for (const heading of all(".content :is(h2, h3, h4)")) {
    const id = heading.id || (heading.parentElement.localName === "section" && heading.parentElement.id);
    if (!id || one("a.anchor", heading)) continue;
    heading.append(make("a", { class: "anchor", href: `#${id}`, "aria-label": "Link to this section" }, "#"));
  }

  if (navigator.clipboard) {
    for (const block of all(".content div.sourceCode")) {
      const button = make("button", { type: "button", class: "copy-button" }, "Copy");
      button.addEventListener("click", async () => {
        const copied = await navigator.clipboard.writeText(one("code", block).textContent).then(() => true, () => false);
        button.textContent = copied ? "Copied" : "Not copied";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      block.append(button);
    }
  }

  const folds = all("details.code-fold");
  if (folds.length > 1) {
    const label = () => (folds.every((fold) => fold.open) ? "Hide all code" : "Show all code");
    const button = make("button", { type: "button", class: "tool" }, label());
    button.addEventListener("click", () => {
      const open = !folds.every((fold) => fold.open);
      for (const fold of folds) fold.open = open;
    });
    for (const fold of folds) fold.addEventListener("toggle", () => { button.textContent = label(); });
    const tools = one(".page-tools") ?? make("p", { class: "page-tools" });
    tools.append(button);
    one(".title-block").append(tools);
  }

  // What scrolls sideways must be reachable by keyboard; what doesn't is no tab stop. A table
  // is measured as squeezed as it gets, before the class gives its columns their room.
  const scrollers = all(".table-scroll, .content figure, .content pre, .content math[display='block'], .math-scroll");
  const more = (element) => element.classList.toggle(
    "more", element.scrollLeft + element.clientWidth < element.scrollWidth - 1);
  const sized = new ResizeObserver((changes) => {
    for (const { target } of changes) {
      target.classList.remove("overflows");
      const overflows = target.scrollWidth > target.clientWidth + 1;
      target.classList.toggle("overflows", overflows);
      if (overflows) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
      more(target);
    }
  });
  for (const element of scrollers) {
    sized.observe(element);
    element.addEventListener("scroll", () => more(element), { passive: true });
  }

  // A first column of sentences is no row's name: on a phone it gets room instead of staying.
  for (const table of all(".table-scroll")) {
    const names = [...table.querySelectorAll("tbody td:first-child")];
    if (names.some((name) => name.textContent.length > 80)) table.classList.add("sentences");
  }

  // A link into a folded block opens it; on paper folded callouts are shown.
  function reveal() {
    const target = one(":target");
    const folded = target?.closest("details:not([open])");
    if (!folded) return;
    folded.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = all("details.callout:not([open])");
    for (const callout of unfolded) callout.open = true;
  });
  addEventListener("afterprint", () => {
    for (const callout of unfolded) callout.open = false;
  });

  // ---- Search ---------------------------------------------------------------------------
  const dialog = one("#search");
  const input = one("#search-input");
  const list = one("#search-results");
  const status = one(".search-status");
  const searchButton = one(".search-button");
  let engine; // a promise of the MiniSearch index, made at the first opening
  let active = -1;

  const loadScript = (path) => new Promise((resolve, reject) => {
    const script = make("script", { src: new URL(path, siteRoot).href });
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${path} is missing`));
    document.head.append(script);
  });

  async function buildEngine() {
    await Promise.all([loadScript("theme/vendor/minisearch.js"), loadScript("search-index.js")]);
    const index = new window.MiniSearch({
      fields: ["title", "page", "text"],
      storeFields: ["href", "title", "page", "text"],
      tokenize: (text) => text.split(/[^\p{L}\p{M}\p{N}]+/u), // also at symbols: p<0.05, x=1
      searchOptions: {
        boost: { title: 4, page: 1.5 },
        prefix: true,
        fuzzy: (term) => (term.length > 3 ? 0.2 : false),
      },
    });
    index.addAll(window.SEARCH_INDEX.map((section, id) => ({ id, ...section })));
    return index;
  }

  // Any of `terms` (words of the index) where it begins a word of a text.
  function wordPattern(terms) {
    const words = terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`(?<![\\p{L}\\p{N}])(${words.join("|")})`, "iu");
  }

  function marked(text, pattern) {
    const parts = text.split(new RegExp(pattern, "giu"));
    return parts.map((part, i) => (i % 2 ? make("mark", {}, part) : part));
  }

  // About 160 characters around the first word found, cut at spaces.
  function snippet(text, pattern) {
    const from = text.search(pattern) - 50;
    const start = from > 0 ? text.indexOf(" ", from) + 1 : 0;
    const cut = start + 160 < text.length ? text.lastIndexOf(" ", start + 160) : text.length;
    const end = cut > start ? cut : start + 160;
    return (start ? "… " : "") + text.slice(start, end) + (end < text.length ? " …" : "");
  }

  function option(result, i) {
    const pattern = wordPattern(result.terms.sort((a, b) => b.length - a.length)); // longest first
    const link = make("a", {
      id: `search-option-${i}`, class: "search-option", role: "option", tabindex: "-1",
      "aria-selected": "false", href: new URL(result.href, siteRoot).href,
    });
    link.append(make("span", { class: "search-title" }, ...marked(result.title, pattern)));
    if (result.page !== result.title) link.append(" ", make("span", { class: "search-page" }, result.page));
    link.append(" ", make("span", { class: "search-snippet" }, ...marked(snippet(result.text, pattern), pattern)));
    return link;
  }

  function select(i) {
    const options = all(".search-option", list);
    options[active]?.setAttribute("aria-selected", "false");
    active = options.length ? (i + options.length) % options.length : -1;
    if (active < 0) return input.removeAttribute("aria-activedescendant");
    options[active].setAttribute("aria-selected", "true");
    options[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[active].id);
  }

  async function search() {
    const query = input.value.trim();
    let results = [];
    let message = "";
    try {
      const index = await (engine ??= buildEngine());
      if (query !== input.value.trim()) return; // typed on meanwhile
      results = index.search(query, { combineWith: "AND" });
      if (!results.length) results = index.search(query); // any of the words
      if (query) message = results.length ? `${results.length} section${results.length > 1 ? "s" : ""}` : `Nothing found for “${query}”.`;
    } catch (error) {
      engine = undefined; // try again next time
      message = `The search could not be loaded: ${error.message}.`;
    }
    list.replaceChildren(...results.slice(0, 20).map(option));
    list.hidden = !results.length;
    input.setAttribute("aria-expanded", String(results.length > 0));
    status.textContent = message;
    select(0);
  }

  function openSearch() {
    if (dialog.open) return;
    if (drawerOpen()) setDrawer(false);
    dialog.showModal();
    input.select();
    search();
  }

  searchButton.addEventListener("click", openSearch);
  one(".search-close").addEventListener("click", () => dialog.close());
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") select(active + 1);
    else if (event.key === "ArrowUp") select(active - 1);
    else if (event.key === "Enter") one('[aria-selected="true"]', list)?.click();
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    // A result on this page, or the backdrop (the dialog itself, beside its content).
    if (event.target === dialog || event.target.closest(".search-option")) dialog.close();
  });

  // ---- Keys -----------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
    const ctrlK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
    if (slash || ctrlK) {
      event.preventDefault();
      openSearch();
    } else if (event.key === "Escape" && !dialog.open) {
      if (drawerOpen()) {
        setDrawer(false);
        menuButton.focus();
      } else if (toc?.open && !wide.matches) {
        toc.open = false;
        one("summary", toc).focus();
      }
    }
  });
})();
