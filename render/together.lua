-- Punctuation stays on the line of the formula beside it: to a browser a formula in a sentence is an
-- object, before and after which a line may break. A filter for Quarto, and for `book.lua`.
local function together(inlines)
  local kept, i = pandoc.List{}, 1
  while i <= #inlines do
    local group = pandoc.List{ inlines[i] }
    if inlines[i].t == "Math" then
      local before, after = kept[#kept], inlines[i + 1]
      if before and before.t == "Str" and before.text:match("[(%[]$") then
        group:insert(1, kept:remove())
      end
      if after and after.t == "Str" and after.text:match("^%p") then
        group:insert(after)
        i = i + 1
      end
    end
    kept:insert(#group > 1 and pandoc.Span(group, { class = "together" }) or group[1])
    i = i + 1
  end
  return kept
end

local website = not FORMAT or FORMAT:match("^html") -- `book.lua` has no format: it writes two
return { { Inlines = website and together } }
