-- Under a chapter's title, its executed notebook to download, as in the embedded renderer.
-- Not on tables of one's own: the notebooks that Quarto copies are those of the shipped ones.
function Pandoc(doc)
  if (os.getenv("BOOK_DATA") or "") ~= "" then return nil end
  local stem = pandoc.path.split_extension(pandoc.path.filename(quarto.doc.input_file))
  local notebook = "notebooks/" .. stem .. ".ipynb"
  local file = io.open(pandoc.path.join{ quarto.project.directory, notebook })
  if not file or not quarto.doc.is_format("html") then return nil end
  file:close()
  local link = pandoc.Link(
    "Executed notebook", quarto.project.offset .. "/" .. notebook, "", { download = stem .. ".ipynb" })
  local _, title = doc.blocks:find_if(function(b) return b.t == "Header" and b.level == 1 end)
  doc.blocks:insert((title or 0) + 1, pandoc.Div({ pandoc.Plain{ link } }, { class = "page-tools" }))
  return doc
end
