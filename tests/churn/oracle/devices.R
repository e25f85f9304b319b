# Reference values for tests/churn/test_churn_devices.py, from base R:
#   Rscript tests/churn/oracle/devices.R tests/churn/oracle/devices.json
# Scores from 1 to 10 with many ties, in groups; they are written beside the values.

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

case <- function(groups, margin = 0.5) {
  y <- unlist(groups, use.names = FALSE)
  group <- factor(rep(names(groups), lengths(groups)))
  ranks <- kruskal.test(y, group)
  welch <- oneway.test(y ~ group)
  # Pairs with the higher mean first.
  means <- sort(vapply(groups, mean, 0), decreasing = TRUE)
  pairs <- combn(names(means), 2)
  confidence <- 1 - 0.05 / ncol(pairs)
  found <- apply(pairs, 2, function(pair) {
    a <- groups[[pair[1]]]
    b <- groups[[pair[2]]]
    alone <- t.test(a, b)
    wide <- t.test(a, b, conf.level = confidence)
    above <- t.test(a, b, mu = -margin, alternative = "greater")$p.value
    below <- t.test(a, b, mu = margin, alternative = "less")$p.value
    c(mean(a) - mean(b), alone$conf.int, wide$conf.int, alone$p.value, max(above, below))
  })
  colnames(found) <- apply(pairs, 2, paste, collapse = "-")
  list(groups = groups, ranks = c(ranks$statistic, ranks$parameter, ranks$p.value),
       welch = c(welch$statistic, welch$parameter, welch$p.value),
       pairs = as.list(as.data.frame(found)),
       holm = p.adjust(found[6, ], "holm"), within = p.adjust(found[7, ], "holm"))
}

set.seed(1952)
scores <- function(n, shift = 0) pmin(10, pmax(1, round(6 + shift + 2.5 * rnorm(n))))
writeLines(json(list(
  alike = case(list(A = scores(60), B = scores(45), C = scores(80), D = scores(33))),
  apart = case(list(A = scores(40), B = scores(40, 1), C = scores(25, -2))),
  near = case(list(A = scores(900), B = scores(700, 0.1), C = scores(800)))
)), commandArgs(TRUE)[1])
