-- Tables get their column widths from their content. Pandoc would take them from the dashes of a
-- pipe table whose source lines are long, and wrap narrow columns for nothing.
function Table(tbl)
  for i, spec in ipairs(tbl.colspecs) do
    tbl.colspecs[i] = { spec[1], nil }
  end
  return tbl
end
