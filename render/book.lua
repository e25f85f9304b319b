-- Makes pages (HTML) and a manuscript (Typst) of the executed chapters, in one Pandoc process.
--
-- Pandoc reads, highlights, cites, sets mathematics and writes. This script resolves what Quarto
-- adds to Pandoc's Markdown: numbered cross-references over all chapters, captions of cells,
-- callouts and folded code. It stops at any Quarto feature that it would not show as Quarto does.
--
-- Run as `pandoc lua book.lua PLAN`, PLAN being JSON written by render/pages.py.

local plan = pandoc.json.decode(io.open(arg[1], "rb"):read("a"), false)
local stringify, List = pandoc.utils.stringify, pandoc.List
local NBSP = "\u{a0}"

local KINDS = { -- prefix of a label -> what a reference to it says
  fig = "Figure", tbl = "Table", eq = "Equation", sec = "Section",
}
local CALLOUTS = { note = "Note", tip = "Tip", warning = "Warning",
                   important = "Important", caution = "Caution" }
local CLASSES = { -- of divs and spans
  cell = true, ["cell-output"] = true, ["cell-output-display"] = true,
  ["cell-output-markdown"] = true, ["cell-output-stdout"] = true, ["cell-output-stderr"] = true,
  lead = true, ["key-figures"] = true, answer = true,
}
local ATTRIBUTES = { title = true, collapse = true, ["fig-alt"] = true, ["tbl-cap"] = true }

--- Stops the build. `needle` is text by which the line is found in the .qmd.
local function fail(page, needle, message)
  io.stderr:write("BOOK-ERROR " .. pandoc.json.encode{
    file = page.source, needle = needle, message = message } .. "\n")
  os.exit(3)
end

-- Reading and numbering -----------------------------------------------------------------------

local entries = {} -- label -> { kind, number, page }

local function register(page, label, kind, number)
  if entries[label] then
    fail(page, label, "the label '" .. label .. "' is already used in " .. entries[label].page.source)
  end
  entries[label] = { kind = kind, number = number, page = page }
end

local function counter(page)
  local counts = {}
  return function(kind)
    counts[kind] = (counts[kind] or 0) + 1
    return (page.number ~= "" and page.number .. "." or "") .. counts[kind]
  end
end

local function unsupported(page)
  local function check(el, where)
    for _, class in ipairs(el.classes) do
      local callout = class:match("^callout%-(.+)$")
      if not (CLASSES[class] or (callout and CALLOUTS[callout])) then
        fail(page, "." .. class, where .. " class '." .. class .. "' is not supported")
      end
    end
    for key in pairs(el.attributes) do
      if not ATTRIBUTES[key] then
        fail(page, key .. "=", where .. " attribute '" .. key .. "' is not supported")
      end
    end
  end
  local function raw(el)
    if el.text:match("^<!%-%-.*%-%->%s*$") then return {} end
    fail(page, el.text:match("^[^\n]*"), "raw " .. el.format ..
      " would be lost in one of the formats; use Markdown")
  end
  return {
    Div = function(el)
      local prefix = el.identifier:match("^(%a+)%-")
      if prefix == "fig" or prefix == "lst" then
        fail(page, "#" .. el.identifier, "a '" .. prefix .. "-' div is not supported")
      end
      check(el, "div")
    end,
    Span = function(el) check(el, "span") end,
    Image = function(el) check(el, "image") end,
    RawBlock = raw,
    RawInline = raw,
  }
end

--- A heading's chapter title is taken out of the body; the sections below it are numbered.
local function number_headings(page, doc)
  local levels = {}
  local title
  local blocks = doc.blocks:map(function(block)
    if block.t ~= "Header" then return block end
    if block.level == 1 then
      if title then fail(page, stringify(block), "a second level-1 heading; use ##") end
      title = block
      return block
    end
    if page.number ~= "" and not block.classes:includes("unnumbered") then
      local depth = block.level - 1
      levels[depth] = (levels[depth] or 0) + 1
      for deeper = depth + 1, 6 do levels[deeper] = nil end
      local parts = List{ page.number }
      for i = 1, depth do parts:insert(tostring(levels[i] or 0)) end
      block.attributes.number = table.concat(parts, ".")
    end
    if block.identifier:match("^sec%-") then
      register(page, block.identifier, "sec", block.attributes.number or stringify(block))
    end
    return block
  end)
  if not title then fail(page, "", "no title: begin the chapter with '# Title {#sec-name}'") end
  page.title = title.content
  page.id = title.identifier
  if page.id:match("^sec%-") then
    register(page, page.id, "sec", page.number ~= "" and page.number or stringify(title))
    entries[page.id].chapter = true
  end
  doc.blocks = blocks:filter(function(block) return block ~= title end)
  return doc
end

local function caption_of(kind, number, inlines)
  local caption = pandoc.Inlines{ pandoc.Str(KINDS[kind] .. NBSP .. number) }
  if #inlines > 0 then
    caption:insert(pandoc.Str(":"))
    caption:insert(pandoc.Space())
    caption:extend(inlines)
  end
  return caption
end

local function find_table(blocks)
  local found
  pandoc.Blocks(blocks):walk{ Table = function(el) found = found or el end }
  return found
end

--- Figures and tables get their number; `float` attributes carry it to the writers below.
local function number_floats(page, doc)
  local next_number = counter(page)
  local function float(label, kind)
    local number = next_number(kind)
    register(page, label, kind, number)
    return number
  end
  return doc:walk{
    traverse = "topdown",
    Figure = function(el)
      local image = el.content[1] and el.content[1].content and el.content[1].content[1]
      if not (image and image.t == "Image") then return nil end
      local alt = image.attributes["fig-alt"]
      image.attributes["fig-alt"] = nil
      if alt then image.caption = pandoc.Inlines(alt) end
      local text = pandoc.utils.blocks_to_inlines(el.caption.long)
      if el.identifier:match("^fig%-") then
        text = caption_of("fig", float(el.identifier, "fig"), text)
      end
      el.caption.long = pandoc.Blocks{ pandoc.Plain(text) }
      return el, false
    end,
    Div = function(el)
      if not el.identifier:match("^tbl%-") then return nil end
      local caption = el.attributes["tbl-cap"] or ""
      if not find_table(el.content) then
        fail(page, el.identifier, "the cell '" .. el.identifier .. "' shows no table")
      end
      local number = float(el.identifier, "tbl")
      caption = pandoc.utils.blocks_to_inlines(pandoc.read(caption, "markdown").blocks)
      local code = el.content:filter(function(b) return b.t == "CodeBlock" end)
      local shown = el.content:filter(function(b) return b.t ~= "CodeBlock" end)
      shown:insert(pandoc.Para(caption_of("tbl", number, caption)))
      code:insert(pandoc.Div(shown, { id = el.identifier, float = "tbl" }))
      return pandoc.Div(code, { class = "cell" }), false
    end,
    Table = function(el)
      if not el.identifier:match("^tbl%-") then return nil end
      local number = float(el.identifier, "tbl")
      local text = pandoc.utils.blocks_to_inlines(el.caption.long)
      local div = pandoc.Div({}, { id = el.identifier, float = "tbl" })
      el.caption.long, el.identifier = pandoc.Blocks{}, ""
      div.content = { el, pandoc.Para(caption_of("tbl", number, text)) }
      return div, false
    end,
    Para = function(el)
      local last = el.content[#el.content]
      local label = last and last.t == "Str" and last.text:match("^{#(eq%-[%w-]+)}$")
      local math = el.content[1]
      if not label or math.t ~= "Math" then return nil end
      local number = float(label, "eq")
      return pandoc.Div({ pandoc.Para{ math } },
        { id = label, class = "equation", float = "eq", number = number })
    end,
  }
end

local function read(page)
  local text = io.open(page.markdown, "rb"):read("a")
  local doc = pandoc.read(text, "markdown")
  doc = doc:walk(unsupported(page))
  doc = number_headings(page, doc)
  page.doc = number_floats(page, doc)
end

-- References ----------------------------------------------------------------------------------

local function resolve_references(page, doc, href)
  local function one(citation)
    local entry = entries[citation.id] or entries[citation.id:lower()]
    if not entry then
      fail(page, "@" .. citation.id, "nothing has the label '" .. citation.id .. "'")
    end
    local text = entry.number
    if citation.mode ~= "SuppressAuthor" then
      local word = entry.chapter and (entry.number:match("^%u$") and "Appendix" or "Chapter")
        or KINDS[entry.kind]
      -- An unnumbered section is called by its name.
      text = entry.number:match("^[%u%d][%d.]*$") and word .. NBSP .. entry.number or entry.number
    end
    return pandoc.Link(text, href(page, entry, citation.id), "", { class = "quarto-xref" })
  end
  return doc:walk{
    Cite = function(el)
      local labels = el.citations:filter(function(c)
        return KINDS[(c.id:lower():match("^(%a+)%-"))] ~= nil
      end)
      if #labels == 0 then return nil end
      if #labels < #el.citations then
        fail(page, el.citations[1].id, "a reference and a citation in one pair of brackets")
      end
      local inlines = pandoc.Inlines{}
      for i, citation in ipairs(el.citations) do
        if i > 1 then inlines:extend{ pandoc.Str(","), pandoc.Space() } end
        inlines:extend(citation.prefix)
        if #citation.prefix > 0 then inlines:insert(pandoc.Space()) end
        inlines:insert(one(citation))
        inlines:extend(citation.suffix)
      end
      return inlines
    end,
  }
end

local pages_by_source = {}

--- Links between .qmd files, as Quarto has them, lead to the pages made of them.
local function resolve_links(page, doc, href)
  return doc:walk{
    Link = function(el)
      local target, anchor = el.target:match("^([^:#]+%.qmd)(#?.*)$")
      if not target then return nil end
      local dir = pandoc.path.directory(page.source)
      local source = pandoc.path.normalize(pandoc.path.join{ dir, target })
      while source:match("[^/]+/%.%./") do source = source:gsub("[^/]+/%.%./", "", 1) end
      local other = pages_by_source[source]
      if not other then fail(page, el.target, "no chapter " .. source .. " in _quarto.yml") end
      el.target = href(page, { page = other, chapter = anchor == "" }, anchor:sub(2))
      return el
    end,
  }
end

local function cite(page, doc)
  doc.meta.bibliography = plan.bibliography
  doc.meta.csl = plan.csl
  doc.meta["link-citations"] = true
  doc:walk{
    Cite = function(el)
      for _, citation in ipairs(el.citations) do
        if not plan.keys[citation.id] then
          fail(page, "@" .. citation.id, "no entry '" .. citation.id .. "' in the bibliography")
        end
      end
    end,
  }
  return pandoc.utils.citeproc(doc)
end

local function callout_parts(el)
  local kind = el.classes[1]:match("^callout%-(.+)$")
  local title = el.attributes.title and pandoc.Inlines(el.attributes.title)
  local blocks = el.content
  if not title and blocks[1] and blocks[1].t == "Header" then
    title = blocks[1].content
    blocks = pandoc.Blocks{ table.unpack(el.content, 2) }
  end
  return kind, title or pandoc.Inlines(CALLOUTS[kind]), blocks
end

local function is_callout(el)
  return el.classes[1] and el.classes[1]:match("^callout%-") ~= nil
end

-- HTML ----------------------------------------------------------------------------------------

local function html_href(from, entry, label)
  local anchor = entry.chapter and "" or "#" .. label
  if entry.page == from then return anchor == "" and "#" .. label or anchor end
  return from.root .. entry.page.href .. anchor
end

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function raw(text) return pandoc.RawBlock("html", text) end

local html = {
  Header = function(el)
    local number = el.attributes.number
    el.attributes.number = nil
    if number then
      el.content:insert(1, pandoc.Space())
      el.content:insert(1, pandoc.Span(number, { class = "header-section-number" }))
    end
    return el
  end,
  CodeBlock = function(el)
    if not el.classes:includes("cell-code") then return nil end
    local fold, summary = el.attributes["code-fold"], el.attributes["code-summary"]
    el.attributes = {}
    fold = fold or tostring(plan.code_fold)
    if fold == "false" then return el end
    return { raw("<details class=\"code-fold\"" .. (fold == "show" and " open" or "") .. "><summary>"
      .. escape(summary or plan.code_summary) .. "</summary>"), el, raw("</details>") }
  end,
  Figure = function(el)
    el.classes = { "quarto-float" }
    return el
  end,
  Div = function(el)
    if el.attributes.float == "tbl" then
      local caption = el.content:remove()
      local id = el.identifier
      return {
        raw(('<div id="%s" class="quarto-float table-float">'):format(escape(id))),
        raw(('<p class="caption" id="%s-caption">'):format(escape(id))),
        pandoc.Plain(caption.content), raw("</p>"),
        raw(('<div class="table-scroll" tabindex="0" role="region" aria-labelledby="%s-caption">')
          :format(escape(id))),
        pandoc.Div(el.content), raw("</div></div>"),
      }
    elseif el.attributes.float == "eq" then
      local number = el.attributes.number
      el.attributes = {}
      el.content:insert(pandoc.Plain{ pandoc.Span("(" .. number .. ")", { class = "equation-number" }) })
      return el
    elseif is_callout(el) then
      local kind, title, blocks = callout_parts(el)
      local tag = el.attributes.collapse and "details" or "div"
      local head = el.attributes.collapse and "summary" or "div"
      local open = el.attributes.collapse == "false" and " open" or ""
      local role = tag == "div" and ' role="note"' or ""
      return {
        raw(('<%s class="callout callout-%s"%s%s>'):format(tag, kind, open, role)),
        raw(('<%s class="callout-title">'):format(head)), pandoc.Plain(title), raw("</" .. head .. ">"),
        raw('<div class="callout-body">'), pandoc.Div(blocks), raw("</div></" .. tag .. ">"),
      }
    end
  end,
}

--- Sections of a page as plain text, for the search.
local function search_entries(page, doc)
  local found = List{}
  local current = { href = page.href, title = stringify(page.title), page = stringify(page.title), text = {} }
  local function close()
    current.text = table.concat(current.text, " "):gsub("%s+", " ")
    found:insert(current)
  end
  for _, block in ipairs(doc.blocks) do
    if block.t == "Header" then
      close()
      current = { href = page.href .. "#" .. block.identifier, title = stringify(block.content),
                  page = stringify(page.title), text = {} }
    else
      local clean = pandoc.Blocks{ block }:walk{
        CodeBlock = function() return {} end,
        Math = function(el) return pandoc.Str(el.text) end,
        -- Keeps words of neighbouring cells and paragraphs apart.
        Plain = function(el) return pandoc.Plain(el.content .. { pandoc.Space() }) end,
        Para = function(el) return pandoc.Para(el.content .. { pandoc.Space() }) end,
      }
      table.insert(current.text, stringify(clean))
    end
  end
  close()
  return found
end

local function inline_html(inlines)
  local doc = pandoc.Pandoc{ pandoc.Plain(inlines) }
  return (pandoc.write(doc, "html5", { wrap_text = "none" }):gsub("%s+$", ""))
end

--- The page around a chapter: everything the template needs beside the body.
local function apply_template(index, fields)
  local page = plan.pages[index]
  local function neighbour(other)
    return other and { href = other.href, title = inline_html(other.title) } or nil
  end
  local sidebar = List{}
  for _, other in ipairs(plan.pages) do
    sidebar:insert{ href = other.href, title = inline_html(other.title), number = other.number,
                    current = other == page }
  end
  local context = {
    lang = plan.lang, booktitle = escape(plan.title), description = escape(page.description),
    subtitle = index == 1 and escape(plan.subtitle) or nil, cover = index == 1,
    authors = index == 1 and List(plan.authors):map(escape) or nil,
    pagetitle = escape(stringify(page.title)), heading = inline_html(page.title), titleid = page.id,
    chapternumber = page.number, root = page.root, sidebar = sidebar,
    prev = neighbour(plan.pages[index - 1]), next = neighbour(plan.pages[index + 1]),
    toc = fields.toc, body = fields.body, pdf = plan.pdf_href, notebook = page.notebook,
  }
  return pandoc.layout.render(pandoc.template.apply(plan.compiled_template, context))
end

local function write_html(index)
  local page = plan.pages[index]
  local doc = resolve_references(page, page.doc:clone(), html_href)
  doc = resolve_links(page, doc, html_href)
  doc = cite(page, doc)
  local search = search_entries(page, doc)
  doc = doc:walk(html)
  local options = pandoc.WriterOptions{ html_math_method = "mathml", wrap_text = "none" }
  local contents = pandoc.structure.table_of_contents(doc, { toc_depth = plan.toc_depth })
  local toc = #contents.content > 0 and pandoc.write(pandoc.Pandoc{ contents }, "html5", options) or ""
  doc.meta = {}
  local body = pandoc.write(doc, "html5", options)
  return { href = page.href, html = apply_template(index, { body = body, toc = toc }), search = search }
end

-- Typst ---------------------------------------------------------------------------------------

local function typst(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), "typst-citations", { wrap_text = "none" }):gsub("%s+$", ""))
end

local function typst_raw(text) return pandoc.RawBlock("typst", text) end

local function quote(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\n", " ") .. '"'
end

local function typst_href(_, entry, label)
  if entry.chapter then return "#" .. entry.page.id end
  return "#" .. label
end

local function typst_filter(page)
  return {
    traverse = "topdown",
    Header = function(el)
      if not el.identifier:match("^sec%-") then el.identifier = "" end
      el.attributes.number = nil
      return el
    end,
    CodeBlock = function(el)
      if not el.classes:includes("cell-code") then return nil end
      return plan.pdf_echo and pandoc.CodeBlock(el.text, { class = "python" }) or {}
    end,
    Figure = function(el)
      local image = el.content[1].content[1]
      local source = pandoc.path.join{ pandoc.path.directory(page.source), image.src }
      local alt = stringify(image.caption)
      local label = el.identifier ~= "" and " <" .. el.identifier .. ">" or ""
      local caption = typst{ pandoc.Plain(pandoc.utils.blocks_to_inlines(el.caption.long)) }
      return typst_raw(("#book-figure(image(%s, alt: %s), [%s])%s"):format(
        quote("/" .. source), quote(alt), caption, label)), false
    end,
    Div = function(el)
      if el.attributes.float == "tbl" then
        local caption = el.content:remove()
        return { typst_raw("#book-table([" .. typst{ pandoc.Plain(caption.content) } .. "])["),
                 pandoc.Div(el.content), typst_raw("] <" .. el.identifier .. ">") }
      elseif el.attributes.float == "eq" then
        return { typst_raw(("#book-equation(%s)["):format(quote(el.attributes.number))),
                 pandoc.Div(el.content), typst_raw("] <" .. el.identifier .. ">") }
      elseif is_callout(el) then
        local kind, title, blocks = callout_parts(el)
        return { typst_raw(("#callout(%s, [%s])["):format(quote(kind), typst{ pandoc.Plain(title) })),
                 pandoc.Div(blocks), typst_raw("]") }
      elseif el.classes:includes("key-figures") or el.classes:includes("answer")
        or el.classes:includes("lead") then
        local name = el.classes[1]
        el.classes = {}
        return { typst_raw("#" .. name .. "["), el, typst_raw("]") }
      elseif el.classes:includes("cell-output") or el.classes:includes("cell") then
        el.identifier, el.classes, el.attributes = "", {}, {}
        return el
      end
    end,
  }
end

local function write_typst(pages)
  local whole = pandoc.Pandoc{}
  for _, page in ipairs(pages) do
    local doc = resolve_references(page, page.doc:clone(), typst_href)
    doc = resolve_links(page, doc, typst_href)
    doc = doc:walk(typst_filter(page))
    local title = pandoc.Header(1, page.title, { id = page.id })
    local numbering = page.number == "" and "none"
      or page.number:match("%u") and '"A.1"' or '"1.1"'
    whole.blocks:insert(typst_raw(("#set heading(numbering: %s)"):format(numbering)))
    whole.blocks:insert(title)
    whole.blocks:extend(doc.blocks)
  end
  whole = cite({ source = plan.pages[1].source }, whole)
  whole = whole:walk{
    Div = function(el)
      if el.identifier ~= "refs" then return nil end
      return { typst_raw("#set heading(numbering: none)"), pandoc.Header(1, "References"), el }
    end,
  }
  whole.meta = {}
  return pandoc.write(whole, "typst-citations", { wrap_text = "none" })
end

-- ---------------------------------------------------------------------------------------------

for _, page in ipairs(plan.pages) do pages_by_source[page.source] = page end
for _, page in ipairs(plan.pages) do read(page) end

local result = { pages = List{} }
if plan.template then
  plan.compiled_template = pandoc.template.compile(io.open(plan.template, "rb"):read("a"))
  for index in ipairs(plan.pages) do result.pages:insert(write_html(index)) end
end
if plan.pdf then result.typst = write_typst(plan.pages) end
io.open(plan.output, "wb"):write(pandoc.json.encode(result)):close()
