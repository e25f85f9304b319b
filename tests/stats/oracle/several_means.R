# Reference values for tests/stats/test_several_means.py, from base R:
#   Rscript tests/stats/oracle/several_means.R tests/stats/oracle/several_means.json
# The samples are R's own data sets and are written beside the values.

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

limits <- function(f, df1, df2) {
  at <- function(p) {
    if (pf(f, df1, df2) <= p) return(0)
    uniroot(function(l) pf(f, df1, df2, ncp = l) - p, c(0, 1000), tol = 1e-10)$root
  }
  c(at(0.975), at(0.025))
}

case <- function(y, group) {
  groups <- split(y, group)
  names(groups) <- make.names(names(groups))
  test <- oneway.test(y ~ group)
  noncentrality <- limits(test$statistic, test$parameter[1], test$parameter[2])
  rest <- lapply(levels(group), function(g) {
    t <- t.test(y[group == g], y[group != g])
    c(t$estimate[1] - t$estimate[2], t$conf.int, t$p.value)
  })
  list(groups = groups, statistic = unname(test$statistic), df = unname(test$parameter),
       p = test$p.value, noncentrality = noncentrality,
       rest = setNames(rest, names(groups)),
       holm = p.adjust(vapply(rest, function(r) r[4], 0), "holm"))
}

writeLines(json(list(
  insects = case(InsectSprays$count, InsectSprays$spray),
  plants = case(PlantGrowth$weight, PlantGrowth$group),
  chickens = case(chickwts$weight, chickwts$feed),
  sleep = case(sleep$extra, sleep$group)
)), commandArgs(TRUE)[1])
