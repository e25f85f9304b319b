-- Makes pages (HTML) or a manuscript (Typst) of the executed chapters, in one Pandoc process.
--
-- Pandoc reads, highlights, cites, sets mathematics and writes. This script resolves what Quarto
-- adds to Pandoc's Markdown: numbered cross-references over all chapters, captions of cells,
-- callouts and folded code. It stops at any Quarto feature that it would not show as Quarto does.
--
-- Run as `pandoc lua book.lua PLAN PART MADE`: PLAN is JSON written by render/pages.py, PART "site"
-- or "pdf", MADE where the result goes, as JSON.

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
}
CLASSES.numbers = true -- links to CSV, on the website only
-- The book's own divs, each with a look in the theme and a function in book.typ.
local BLOCKS = { lead = true, ["key-figures"] = true, answer = true }
for class in pairs(BLOCKS) do CLASSES[class] = true end

--- Stops the build. `needle` is text by which the line is found in the .qmd.
local function fail(page, needle, message)
  io.stderr:write("BOOK-ERROR " .. pandoc.json.encode{
    file = page.source, needle = needle, message = message } .. "\n")
  os.exit(3)
end

--- Warnings that Pandoc prints from here on are about this page.
local function at(page) io.stderr:write("BOOK-PAGE " .. page.source .. "\n") end

local function inlines(markdown)
  return pandoc.utils.blocks_to_inlines(pandoc.read(markdown, "markdown").blocks)
end

-- Reading and numbering -----------------------------------------------------------------------

local entries = {} -- label -> { kind, page, number, title }; no number: can't be referred to

local function register(page, label, entry)
  local other = entries[label]
  if other then
    fail(page, "#" .. label, "the label '" .. label .. "' is already used in " .. other.page.source)
  end
  entry.kind, entry.page = label:match("^(%a+)%-"), page
  entries[label], page.anchors[label] = entry, true
end

local function callout_kind(el)
  local kind = #el.classes == 1 and el.classes[1]:match("^callout%-(.+)$")
  return CALLOUTS[kind] and kind
end

--- The content of a callout begins with its title from here on.
local function title_callout(el)
  local kind, title = callout_kind(el), el.attributes.title
  if not kind then return nil end
  local blocks = el.content
  if title then
    blocks:insert(1, pandoc.Plain(inlines(title)))
  elseif blocks[1] and blocks[1].t == "Header" then
    blocks[1] = pandoc.Plain(blocks[1].content)
  else
    blocks:insert(1, pandoc.Plain(CALLOUTS[kind]))
  end
  return el
end

--- Stops at what Quarto would show in a way of its own.
local function unsupported(page)
  local function check(el, what, classes, attributes)
    for _, class in ipairs(el.classes) do
      if not classes[class] then
        fail(page, class, what .. " class '." .. class .. "' is not supported")
      end
    end
    for key in pairs(el.attributes) do
      if not attributes[key] then
        fail(page, key .. "=", what .. " attribute '" .. key .. "' is not supported")
      end
    end
  end
  local function no_identifier(el, what)
    if el.identifier ~= "" then
      fail(page, "#" .. el.identifier, "an id on a " .. what .. " is not supported")
    end
  end
  local function raw(el)
    if el.text:match("^<!%-%-.*%-%->%s*$") then return {} end
    fail(page, el.text:match("^[^\n]*"), "raw " .. el.format ..
      " would be lost in one of the formats; use Markdown")
  end
  return {
    Div = function(el)
      local is_cell = el.classes:includes("cell")
      if not is_cell then no_identifier(el, "div") end
      if callout_kind(el) then
        check(el, "callout", { [el.classes[1]] = true }, { title = true, collapse = true })
      else
        check(el, "div", CLASSES, { ["tbl-cap"] = is_cell, ["fig-cap"] = is_cell })
      end
    end,
    Span = function(el) no_identifier(el, "span"); check(el, "span", CLASSES, {}) end,
    Header = function(el) check(el, "heading", { unnumbered = true }, {}) end,
    Link = function(el) check(el, "link", { uri = true, email = true },
      { download = page.files[el.target], ["aria-label"] = page.files[el.target] }) end,
    Table = function(el) check(el, "table", {}, {}) end,
    CodeBlock = function(el)
      no_identifier(el, "code block")
      if not el.classes:includes("cell-code") then
        check(el, "code block", { [el.classes[1] or ""] = true }, { shortcodes = true })
        el.attributes = {}
        return el
      end
    end,
    Image = function(el)
      check(el, "image", {}, { ["fig-alt"] = true })
      if not page.files[el.src] then
        fail(page, el.src, "an image from a file is not supported; draw it in a cell")
      end
      local alt = el.attributes["fig-alt"]
      if alt then el.caption, el.attributes = pandoc.Inlines(alt), {} end
      return el
    end,
    RawBlock = raw,
    RawInline = raw,
  }
end

local chapters, appendices = 0, 0

--- Takes the chapter's title out of the body and numbers it.
local function take_title(page, doc)
  local title, index = doc.blocks:find_if(function(b) return b.t == "Header" and b.level == 1 end)
  if not title then fail(page, "", "no title: begin the chapter with '# Title {#sec-name}'") end
  if title.classes:includes("unnumbered") then
    page.number, page.called = "", ""
  elseif page.appendix then
    appendices = appendices + 1
    page.number = string.char(64 + appendices)
    page.called = "Appendix " .. page.number .. " —"
  else
    chapters = chapters + 1
    page.number, page.called = tostring(chapters), tostring(chapters)
  end
  page.title, page.id = title.content, title.identifier
  page.anchors[page.id] = true
  if page.id:match("^sec%-") then
    local called = page.called .. (page.appendix and " " or NBSP .. " ") .. stringify(title)
    register(page, page.id,
      page.number ~= "" and { number = page.number, title = called, chapter = true } or {})
  end
  local function plain_text_only(el)
    fail(page, stringify(title), "a " .. el.t .. " in a chapter's title is not supported")
  end
  title:walk{ Cite = plain_text_only, Note = plain_text_only }
  doc.blocks:remove(index)
end

local function number_sections(page, doc)
  local counts = {}
  for _, block in ipairs(doc.blocks) do
    if block.t == "Header" then
      local depth, numbered = block.level - 1, not block.classes:includes("unnumbered")
      if depth == 0 then fail(page, stringify(block), "a second level-1 heading; use ##") end
      if plan.reserved[block.identifier] then
        fail(page, stringify(block), "the id '" .. block.identifier ..
          "' is a part of every page; give the heading another: {#name}")
      end
      if numbered then
        counts[depth] = (counts[depth] or 0) + 1
        for deeper = depth + 1, 6 do counts[deeper] = nil end
        if page.number ~= "" then
          local parts = List{ page.number }
          for i = 1, depth do parts:insert(tostring(counts[i] or 0)) end
          block.attributes.number = table.concat(parts, ".")
        end
      end
      page.anchors[block.identifier] = true
      if block.identifier:match("^sec%-") then
        local number = block.attributes.number
        register(page, block.identifier, number and { number = number, title = stringify(block) } or {})
      end
    else
      pandoc.Blocks{ block }:walk{ Header = function(inner)
        fail(page, stringify(inner), "a heading inside another block is not supported")
      end }
    end
  end
end

local function caption_of(kind, number, text)
  local caption = pandoc.Inlines{ pandoc.Str(KINDS[kind] .. NBSP .. number .. ":"), pandoc.Space() }
  caption:extend(text)
  return caption
end

local function holds_table(block)
  local found = false
  pandoc.Blocks{ block }:walk{ Table = function() found = true end }
  return found
end

--- Numbers figures, tables and equations. `float` attributes tell the writers below.
local function number_floats(page, doc)
  local counts = { fig = 0, tbl = 0, eq = 0 }
  local function float(label)
    local kind = label:match("^(%a+)%-")
    counts[kind] = counts[kind] + 1
    local number = (page.number ~= "" and page.number .. "." or "") .. counts[kind]
    register(page, label, { number = number })
    return number
  end
  local function cell_float(label, blocks, caption)
    blocks:insert(pandoc.Para(caption_of(label:match("^(%a+)%-"), float(label), caption)))
    return pandoc.Div(blocks, { id = label, float = "tbl" })
  end
  return doc:walk{
    traverse = "topdown",
    Figure = function(el)
      local text = pandoc.utils.blocks_to_inlines(el.caption.long)
      if el.identifier:match("^fig%-") then text = caption_of("fig", float(el.identifier), text) end
      el.caption.long = pandoc.Blocks{ pandoc.Plain(text) }
      return el, false
    end,
    Div = function(el)
      local kind = el.identifier:match("^(%a+)%-")
      if kind ~= "tbl" and kind ~= "fig" then return nil end
      -- Where there is no table or figure, the sentence that says so takes its place.
      local is_shown = holds_table(el) and holds_table or
        function(block) return block.t ~= "CodeBlock" end
      local shown = el.content:filter(is_shown)
      local others = el.content:filter(function(block) return not is_shown(block) end)
      if #shown == 0 then
        fail(page, "#" .. el.identifier, "the cell '" .. el.identifier .. "' shows nothing")
      end
      others:insert(cell_float(el.identifier, shown, inlines(el.attributes[kind .. "-cap"])))
      return others, false
    end,
    Table = function(el)
      local label, text = el.identifier, pandoc.utils.blocks_to_inlines(el.caption.long)
      if not label:match("^tbl%-") then return nil end
      el.caption.long, el.identifier = pandoc.Blocks{}, ""
      return cell_float(label, pandoc.Blocks{ el }, text), false
    end,
    Para = function(el)
      local math, last = el.content[1], el.content[#el.content]
      local label = last and last.t == "Str" and last.text:match("^{#(eq%-[%w-]+)}$")
      if not label or math.t ~= "Math" then return nil end
      if #el.content ~= 3 then
        fail(page, "#" .. label, "a numbered equation stands alone: $$...$$ {#" .. label .. "}")
      end
      return pandoc.Div({ pandoc.Para{ math } },
        { id = label, class = "equation", float = "eq", number = float(label) })
    end,
  }
end

local function read(page)
  at(page)
  page.anchors, page.files = {}, {}
  for _, name in ipairs(page.file_names) do page.files[name] = true end
  -- Wide columns: else a table whose source lines are long gets widths from its dashes.
  local doc = pandoc.read(io.open(page.markdown, "rb"):read("a"), "markdown", { columns = 1000 })
  if next(doc.meta) then fail(page, "---", "only the top of a file may hold front matter") end
  doc = doc:walk{ Div = title_callout }:walk(unsupported(page))
  take_title(page, doc)
  number_sections(page, doc)
  page.doc = number_floats(page, doc)
end

-- References ----------------------------------------------------------------------------------

--- The text of a reference, as Quarto words it.
local function reference_text(page, entry, citation)
  local word = citation.mode ~= "SuppressAuthor" and
    (entry.chapter and (entry.page.appendix and "Appendix" or "Chapter") or KINDS[entry.kind])
  local text = entry.number
  if entry.kind == "sec" and page.number == "" then
    -- A page without a number calls sections by their titles.
    word, text = nil, entry.title
  end
  if not text then
    fail(page, "@" .. citation.id, "'" .. citation.id ..
      "' has no number; link to it: [text](file.qmd#" .. citation.id .. ")")
  end
  if #citation.prefix > 0 then word = stringify(citation.prefix) end
  return word and word .. NBSP .. text or text
end

local function resolve_references(page, doc, href)
  local function one(citation)
    local entry = entries[citation.id] or entries[citation.id:gsub("^%u", string.lower)]
    if not entry then
      fail(page, "@" .. citation.id, "nothing has the label '" .. citation.id .. "'")
    end
    if #citation.suffix > 0 then
      fail(page, "@" .. citation.id, "Quarto drops text that follows a reference in brackets")
    end
    return pandoc.Link(reference_text(page, entry, citation),
      href(page, entry.page, citation.id), "", { class = "quarto-xref" })
  end
  return doc:walk{
    Cite = function(el)
      local labels = el.citations:filter(function(c)
        return KINDS[(c.id:lower():match("^(%a+)%-"))] ~= nil
      end)
      if #labels == 0 then return nil end
      if #labels < #el.citations then
        fail(page, "@" .. el.citations[1].id, "a reference and a citation in one pair of brackets")
      end
      local links = pandoc.Inlines{}
      for i, citation in ipairs(el.citations) do
        if i > 1 then links:extend{ pandoc.Str(","), pandoc.Space() } end
        links:insert(one(citation))
      end
      return links
    end,
  }
end

local pages_by_source = {}

--- Links between .qmd files, as Quarto has them, lead to the pages made of them.
local function resolve_links(page, doc, href)
  return doc:walk{
    Link = function(el)
      if el.classes:includes("quarto-xref") or el.target:match("^%a[%w+.-]*:")
        or page.files[el.target] then return nil end
      local file, anchor = el.target:match("^([^#]*)#?(.*)$")
      local other = page
      if file ~= "" then
        local path = pandoc.path.normalize(
          pandoc.path.join{ pandoc.path.directory(page.source), file })
        while path:match("[^/]+/%.%./") do path = path:gsub("[^/]+/%.%./", "", 1) end
        other = pages_by_source[path]
        if not other then fail(page, el.target, "no chapter " .. path .. " in _quarto.yml") end
      elseif entries[anchor] then
        other = entries[anchor].page
      end
      if anchor ~= "" and not other.anchors[anchor] then
        fail(page, el.target, "nothing in " .. other.source .. " has the id '" .. anchor .. "'")
      end
      el.target = href(page, other, anchor ~= "" and anchor or other.id)
      return el
    end,
  }
end

local bibliography -- key -> entry

local function read_bibliography()
  local everything = pandoc.Cite({}, { pandoc.Citation("*", "NormalCitation") })
  local doc = pandoc.Pandoc({}, {
    bibliography = plan.bibliography, nocite = pandoc.MetaInlines{ everything } })
  bibliography = {}
  for _, reference in ipairs(pandoc.utils.references(doc)) do
    bibliography[reference.id] = reference
  end
end

local function cite(page, doc)
  local cited, seen = List{}, {}
  doc:walk{
    Cite = function(el)
      for _, citation in ipairs(el.citations) do
        local entry = bibliography[citation.id]
        if not entry then
          fail(page, "@" .. citation.id, "no entry '" .. citation.id .. "' in the bibliography")
        end
        if not seen[citation.id] then cited:insert(entry) end
        seen[citation.id] = true
      end
    end,
  }
  -- The entries themselves, so that the file is not read once a page.
  doc.meta = { references = cited, ["link-citations"] = true }
  doc = pandoc.utils.citeproc(doc)
  doc.meta = {}
  return doc
end

-- HTML ----------------------------------------------------------------------------------------

local function html_href(from, to, label)
  if to == from then return "#" .. label end
  return from.root .. to.href .. (label == to.id and "" or "#" .. label)
end

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function raw(text) return pandoc.RawBlock("html", text) end

local together = dofile(pandoc.path.join{ pandoc.path.directory(arg[0]), "together.lua" })[1]

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
    elseif callout_kind(el) then
      local tag, head, open = "div", "div", ' role="note"'
      if el.attributes.collapse then
        tag, head, open = "details", "summary", el.attributes.collapse == "false" and " open" or ""
      end
      local title = el.content:remove(1)
      return {
        raw(('<%s class="callout callout-%s"%s>'):format(tag, callout_kind(el), open)),
        raw(('<%s class="callout-title">'):format(head)), title, raw("</" .. head .. ">"),
        raw('<div class="callout-body">'), pandoc.Div(el.content), raw("</div></" .. tag .. ">"),
      }
    end
  end,
}

--- Sections of a page as plain text, for the search.
local function search_entries(page, doc)
  local function spaced(el) return el.content .. { pandoc.Space() } end
  local function plain(block)
    local clean = pandoc.Blocks{ block }:walk{
      CodeBlock = function() return {} end,
      Image = function() return {} end,
      Div = function(el) if el.classes:includes("numbers") then return {} end end,
      Note = function(el)
        return { pandoc.Space(), pandoc.Span(pandoc.utils.blocks_to_inlines(el.content)) }
      end,
      -- Keeps words of neighbouring cells and paragraphs apart.
      Plain = function(el) return pandoc.Plain(spaced(el)) end,
      Para = function(el) return pandoc.Para(spaced(el)) end,
      DefinitionList = function(el)
        local blocks = pandoc.Blocks{}
        for _, item in ipairs(el.content) do
          blocks:insert(pandoc.Plain(item[1] .. { pandoc.Space() }))
          for _, definition in ipairs(item[2]) do blocks:extend(definition) end
        end
        return blocks
      end,
    }
    return stringify(clean)
  end
  local found, name = List{}, stringify(page.title)
  local function open(href, title)
    found:insert{ href = href, title = title, page = name, text = "" }
  end
  open(page.href, name)
  for _, block in ipairs(doc.blocks) do
    if block.t == "Header" then
      open(page.href .. "#" .. block.identifier, stringify(block))
    else
      local last = found[#found]
      last.text = (last.text .. " " .. plain(block)):gsub(NBSP, " "):gsub("%s+", " "):gsub("^ ", "")
    end
  end
  return found
end

local function inline_html(title)
  local options = { wrap_text = "none", html_math_method = "mathml" }
  return (pandoc.write(pandoc.Pandoc{ pandoc.Plain(title) }, "html5", options):gsub("%s+$", ""))
end

--- The page around a chapter: everything the template needs beside the body.
local function apply_template(page, fields)
  local index = page.position or 0 -- 0: the page for lost readers, which has no neighbours
  local function neighbour(other)
    return other and { href = other.href, title = inline_html(other.title) } or nil
  end
  local sidebar = List{}
  for _, other in ipairs(plan.pages) do
    sidebar:insert{ href = other.href, title = inline_html(other.title), number = other.number,
                    current = other == page }
  end
  local context = {
    lang = plan.lang, booktitle = escape(plan.title),
    description = escape(page.description ~= "" and page.description or plan.description),
    subtitle = index == 1 and escape(plan.subtitle) or nil, cover = index == 1,
    authors = index == 1 and List(plan.authors):map(escape) or nil,
    pagetitle = escape(stringify(page.title)), heading = inline_html(page.title), titleid = page.id,
    -- The dash joins an appendix's number to its title where both are on one line.
    chapternumber = page.called:gsub(" —$", '<span class="dash">%0</span>'), root = page.root, sidebar = sidebar,
    prev = neighbour(plan.pages[index - 1]), next = index > 0 and neighbour(plan.pages[index + 1]),
    address = plan.site_url ~= "" and index > 0 and escape(plan.site_url .. page.href) or nil,
    image = plan.site_url ~= "" and plan.image ~= "" and escape(plan.site_url .. plan.image) or nil,
    imagealt = plan.image_alt ~= "" and escape(plan.image_alt) or nil,
    toc = fields.toc, body = fields.body, pdf = plan.pdf_href, notebook = page.notebook,
  }
  return pandoc.layout.render(pandoc.template.apply(plan.compiled_template, context))
end

local function write_html(page)
  at(page)
  local doc = resolve_references(page, page.doc:clone(), html_href)
  doc = resolve_links(page, doc, html_href)
  doc = cite(page, doc)
  local search = search_entries(page, doc)
  doc = doc:walk(together):walk(html)
  local options = pandoc.WriterOptions{ html_math_method = "mathml", wrap_text = "none" }
  local contents = pandoc.structure.table_of_contents(doc, { toc_depth = plan.toc_depth })
  local toc = #contents.content > 0 and pandoc.write(pandoc.Pandoc{ contents }, "html5", options) or ""
  local body = pandoc.write(doc, "html5", options)
  return { href = page.href, html = apply_template(page, { body = body, toc = toc }), search = search }
end

-- Typst ---------------------------------------------------------------------------------------

local function typst(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), "typst-citations", { wrap_text = "none" }):gsub("%s+$", ""))
end

local function typst_raw(text) return pandoc.RawBlock("typst", text) end

local function quote(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\n", " ") .. '"'
end

--- A label of the manuscript; ids that Pandoc made are unique only in their page.
local function typst_label(page, id)
  return entries[id] and id or ("page-%d-%s"):format(page.position, id)
end

local function typst_href(_, to, label) return "#" .. typst_label(to, label) end

--- What depends on the page: paths of images and labels of headings.
local function typst_page(page)
  local folder = pandoc.path.directory(page.source)
  return {
    Div = function(el) if el.classes:includes("numbers") then return {} end end,
    Header = function(el)
      el.identifier, el.attributes.number = typst_label(page, el.identifier), nil
      return el
    end,
    Image = function(el)
      el.src = "/" .. pandoc.path.join{ folder, el.src }
      return el
    end,
  }
end

-- A table of more rows, or of more text than so many lines hold, may break over pages; between its
-- rows, unless a cell has more letters than a page may hold of it. So may a box of more letters.
local LONG_TABLE, LINE, LONG_CELL, LONG_BOX = 20, 85, 800, 900
local SHOWN = List{ "CodeBlock", "BulletList", "OrderedList", "Table", "Div" }

--- What ends in a colon stays with what it announces.
local typst_together = {
  Blocks = function(blocks)
    local together = List{}
    for i, block in ipairs(blocks) do
      local after = blocks[i + 1]
      local announces = block.t == "Para" and after and SHOWN:includes(after.t)
        and stringify(block):match(":$")
      together:extend(announces and { typst_raw("#block(sticky: true)["), block, typst_raw("]") }
        or { block })
    end
    return together
  end,
}

local typst_blocks = {
  CodeBlock = function(el)
    if not el.classes:includes("cell-code") then return nil end
    return plan.pdf_echo and pandoc.CodeBlock(el.text, { class = "python" }) or {}
  end,
  Figure = function(el)
    local image = el.content[1].content[1]
    local label = entries[el.identifier] and " <" .. el.identifier .. ">" or ""
    local caption = typst{ pandoc.Plain(pandoc.utils.blocks_to_inlines(el.caption.long)) }
    return typst_raw(("#book-figure(image(%s, alt: %s), [%s])%s"):format(
      quote(image.src), quote(stringify(image.caption)), caption, label))
  end,
  Div = function(el)
    local before, after
    if el.attributes.float == "tbl" then
      local caption = typst{ pandoc.Plain(el.content:remove().content) }
      local rows, text, longest = 0, 0, 0
      el:walk{ Table = function(t)
        for _, b in ipairs(t.bodies) do
          rows = rows + #b.body
          for _, row in ipairs(b.body) do
            for _, cell in ipairs(row.cells) do
              longest = math.max(longest, #stringify(cell.contents))
            end
          end
        end
        text = text + #stringify(t)
      end }
      before = ("#book-table([%s], %s, %s)["):format(
        caption, math.max(rows, text / LINE) > LONG_TABLE, longest > LONG_CELL)
      after = "] <" .. el.identifier .. ">"
    elseif el.attributes.float == "eq" then
      before = ("#book-equation(%s)["):format(quote(el.attributes.number))
      after = "] <" .. el.identifier .. ">"
    elseif callout_kind(el) then
      local title = typst{ el.content:remove(1) }
      before = ("#callout(%s, [%s], %s)["):format(
        quote(callout_kind(el)), title, #stringify(el) > LONG_BOX)
      after = "]"
    elseif el.classes:find_if(function(class) return BLOCKS[class] end) then
      before, after = "#" .. el.classes[1] .. "[", "]"
    elseif el.identifier ~= "refs" and not el.identifier:match("^ref%-") then
      return el.content
    else
      return nil
    end
    return { typst_raw(before), pandoc.Div(el.content), typst_raw(after) }
  end,
}

--- The values that book.typ takes from _quarto.yml.
local function typst_settings()
  local lines = List{}
  for _, key in ipairs{ "title", "subtitle", "description", "lang", "paper" } do
    lines:insert(("#let book-%s = %s"):format(key, quote(plan[key])))
  end
  local authors = List(plan.authors):map(function(name) return quote(name) .. "," end)
  lines:insert("#let book-authors = (" .. table.concat(authors) .. ")")
  return table.concat(lines, "\n") .. "\n" .. io.open(plan.typst_template, "rb"):read("a")
end

local function write_typst(pages)
  local whole = pandoc.Pandoc{}
  for _, page in ipairs(pages) do
    at(page)
    local doc = resolve_references(page, page.doc:clone(), typst_href)
    doc = resolve_links(page, doc, typst_href)
    doc = doc:walk(typst_page(page)):walk(typst_together)
    local title = pandoc.Header(1, page.title, { id = typst_label(page, page.id) })
    local numbering = page.number == "" and "none" or page.appendix and '"A.1"' or '"1.1"'
    whole.blocks:insert(typst_raw(("#set heading(numbering: %s)"):format(numbering)))
    if page.number == "A" then whole.blocks:insert(typst_raw("#counter(heading).update(0)")) end
    whole.blocks:insert(title)
    whole.blocks:extend(doc.blocks)
  end
  whole = cite(pages[1], whole):walk(typst_blocks):walk{
    Div = function(el)
      if el.identifier ~= "refs" then return nil end
      return { typst_raw("#set heading(numbering: none)"), pandoc.Header(1, "References"), el }
    end,
  }
  return typst_settings() .. pandoc.write(whole, "typst-citations", { wrap_text = "none" })
end

-- ---------------------------------------------------------------------------------------------

local template = io.open(plan.template, "rb"):read("a")
plan.compiled_template = pandoc.template.compile(template)
plan.reserved = {} -- ids that the template itself uses
for id in template:gmatch(' id="([^"$]+)"') do plan.reserved[id] = true end

for position, page in ipairs(plan.pages) do
  page.position, pages_by_source[page.source] = position, page
  read(page)
end
if plan.lost then
  read(plan.lost)
  plan.lost.id = "" -- as Quarto, where a page is no chapter
end
read_bibliography()

-- As Quarto, takes what _quarto.yml says of the book for Markdown; both outputs need it plain.
local function plain(markdown) return stringify(inlines(markdown)) end
plan.authors = List(plan.authors):map(plain)
for _, key in ipairs{ "title", "subtitle", "description" } do plan[key] = plain(plan[key]) end

local result = {}
if arg[2] == "pdf" then
  result.typst = write_typst(plan.pages)
else
  result.pages = List{}
  for _, page in ipairs(plan.pages) do result.pages:insert(write_html(page)) end
  if plan.lost then result.lost = write_html(plan.lost) end
end
io.open(arg[3], "wb"):write(pandoc.json.encode(result)):close()
