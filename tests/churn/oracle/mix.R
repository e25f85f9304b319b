# Reference values for tests/churn/test_churn_mix.py, from base R:
#   Rscript tests/churn/oracle/mix.R tests/churn/oracle/mix.json
# Counts of one factor each; the first are R's own HairEyeColor and chickwts.

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

case <- function(counts) {
  counts <- sort(as.vector(counts), decreasing = TRUE)
  n <- sum(counts)
  k <- length(counts)
  # Goodman's intervals are Wilson's at 1 - 0.05 / k.
  confidence <- 1 - 0.05 / if (k == 2) 1 else k
  limits <- vapply(counts, function(x) {
    prop.test(x, n, conf.level = confidence, correct = FALSE)$conf.int[1:2]
  }, c(0, 0))
  fit <- suppressWarnings(chisq.test(counts))
  # Every ordered pair: is the first share larger?
  grid <- subset(expand.grid(a = seq_len(k), b = seq_len(k)), a != b)
  p <- mapply(function(a, b) {
    binom.test(counts[a], counts[a] + counts[b], alternative = "greater")$p.value
  }, grid$a, grid$b)
  shown <- grid[p.adjust(p, "holm") <= 0.05, ]
  list(counts = counts, low = limits[1, ], high = limits[2, ],
       statistic = unname(fit$statistic), p = fit$p.value,
       best = 1 + tabulate(shown$b, k), worst = k - tabulate(shown$a, k))
}

writeLines(json(list(
  hair = case(rowSums(HairEyeColor)),
  eyes = case(apply(HairEyeColor, 2, sum)),
  feed = case(table(chickwts$feed)),
  classes = case(apply(Titanic, 1, sum)),
  two = case(c(61, 39)),
  close = case(c(52, 50, 30, 12, 3))
)), commandArgs(TRUE)[1])
