# Odds ratios of 2x2 tables, alone and in strata, by base R: run as
# `Rscript stratified.R > stratified.json`.
# Tables are (both, row, column, total); the one-sided p-values are of a greater odds ratio.
suppressWarnings(RNGkind(sample.kind = "Rejection"))
set.seed(5)
cells <- function(t) matrix(c(t[1], t[3] - t[1], t[2] - t[1], t[4] - t[2] - t[3] + t[1]), 2)
draw <- function(k) t(sapply(seq_len(k), function(i) {
  total <- sample(30:400, 1); row <- sample(5:(total - 5), 1); column <- sample(5:(total - 5), 1)
  both <- rhyper(1, row, total - row, column)
  # Some association, where the margins leave room for it.
  both <- min(both + sample(0:4, 1), row, column)
  c(both, row, column, total)
}))
single <- lapply(seq_len(12), function(i) {
  t <- draw(1)[1, ]
  null <- c(0.4, 1, 2.5)[i %% 3 + 1]
  test <- fisher.test(cells(t), or = null, alternative = "greater")
  both_sides <- fisher.test(cells(t))
  list(table = t, odds_ratio = null, p_greater = test$p.value,
       estimate = unname(both_sides$estimate), low = both_sides$conf.int[1],
       high = both_sides$conf.int[2])
})
strata <- lapply(seq_len(6), function(i) {
  tables <- draw(sample(2:7, 1))
  array3 <- array(apply(tables, 1, cells), c(2, 2, nrow(tables)))
  exact <- mantelhaen.test(array3, exact = TRUE)
  greater <- mantelhaen.test(array3, exact = TRUE, alternative = "greater")
  usual <- mantelhaen.test(array3)
  list(tables = tables, p_greater = greater$p.value, estimate = unname(exact$estimate),
       low = exact$conf.int[1], high = exact$conf.int[2],
       mh = unname(usual$estimate), mh_low = usual$conf.int[1], mh_high = usual$conf.int[2])
})
number <- function(x) if (length(x) > 1) paste0("[", paste(format(x, digits = 12, trim = TRUE), collapse = ", "), "]") else format(x, digits = 12, trim = TRUE)
entry <- function(e) paste0("{", paste(sapply(names(e), function(n) {
  v <- e[[n]]
  value <- if (is.matrix(v)) paste0("[", paste(apply(v, 1, number), collapse = ", "), "]") else number(v)
  paste0("\"", n, "\": ", value)
}), collapse = ", "), "}")
cat("{\"single\": [", paste(sapply(single, entry), collapse = ",\n"), "],\n\"strata\": [",
    paste(sapply(strata, entry), collapse = ",\n"), "]}\n", sep = "")
