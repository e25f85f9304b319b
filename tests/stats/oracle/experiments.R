# Reference values for experiments with two groups, from base R alone:
#   Rscript tests/stats/oracle/experiments.R tests/stats/oracle/experiments.json
# Grids of power.prop.test and power.t.test, tests and intervals of two shares, and the Newcombe
# and Katz intervals from their definitions.

json <- function(x) {
  if (is.data.frame(x)) x <- as.list(x)
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  digits <- sub("^Inf$", "Infinity", sub("^-Inf$", "-Infinity", digits))
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

side <- function(sides) if (sides == 2) "two.sided" else "one.sided"

shares <- expand.grid(p1 = c(0.01, 0.05, 0.14, 0.4), lift = c(0.05, 0.2, 0.5),
                      alpha = c(0.05, 0.01), power = c(0.8, 0.9), sides = c(2, 1))
shares$p2 <- shares$p1 * (1 + shares$lift)
shares$n <- mapply(function(p1, p2, alpha, power, sides) {
  power.prop.test(p1 = p1, p2 = p2, sig.level = alpha, power = power, alternative = side(sides),
                  strict = sides == 2, tol = 1e-12)$n
}, shares$p1, shares$p2, shares$alpha, shares$power, shares$sides)
shares$size <- c(50, 500, 5000)[1 + seq_len(nrow(shares)) %% 3]
shares$chance <- mapply(function(p1, p2, alpha, size, sides) {
  power.prop.test(n = size, p1 = p1, p2 = p2, sig.level = alpha, alternative = side(sides),
                  strict = sides == 2)$power
}, shares$p1, shares$p2, shares$alpha, shares$size, shares$sides)

means <- expand.grid(delta = c(0.05, 0.2, 0.8), sd = c(1, 4.2), alpha = c(0.05, 0.01),
                     power = c(0.8, 0.9), sides = c(2, 1))
means$n <- mapply(function(delta, sd, alpha, power, sides) {
  power.t.test(delta = delta, sd = sd, sig.level = alpha, power = power, alternative = side(sides),
               strict = sides == 2, tol = 1e-12)$n
}, means$delta, means$sd, means$alpha, means$power, means$sides)
means$size <- c(20, 300, 4000)[1 + seq_len(nrow(means)) %% 3]
means$chance <- mapply(function(delta, sd, alpha, size, sides) {
  power.t.test(n = size, delta = delta, sd = sd, sig.level = alpha, alternative = side(sides),
               strict = sides == 2)$power
}, means$delta, means$sd, means$alpha, means$size, means$sides)

tables <- data.frame(
  x = c(234, 56, 9, 6, 5, 0, 10, 282, 1),
  n = c(1243, 70, 10, 7, 56, 10, 10, 6196, 400),
  y = c(195, 48, 3, 2, 0, 3, 2, 405, 6),
  m = c(1260, 80, 10, 7, 29, 20, 20, 5901, 500)
)
# fisher.test finds its odds ratios to about three digits only, so its definition is solved here.
odds <- function(x, n, y, m) {
  k <- x + y
  support <- max(0, k - m):min(n, k)
  weight <- dhyper(support, n, m, k, log = TRUE)
  probability <- function(log_odds) {
    d <- weight + support * log_odds
    d <- exp(d - max(d))
    d / sum(d)
  }
  root <- function(f) exp(uniroot(f, c(-30, 30), tol = 1e-13)$root)
  c(odds = if (x == support[1]) 0 else if (x == max(support)) Inf else
      root(function(l) sum(support * probability(l)) - x),
    odds_low = if (x == support[1]) 0 else
      root(function(l) sum(probability(l)[support >= x]) - 0.025),
    odds_high = if (x == max(support)) Inf else
      root(function(l) sum(probability(l)[support <= x]) - 0.025))
}
wilson <- function(x, n) suppressWarnings(c(prop.test(x, n, correct = FALSE)$conf.int))
row <- function(x, n, y, m) {
  z <- suppressWarnings(prop.test(c(x, y), c(n, m), correct = FALSE))
  exact <- fisher.test(rbind(c(x, n - x), c(y, m - y)))
  a <- wilson(x, n)
  b <- wilson(y, m)
  p <- x / n
  q <- y / m
  log_error <- sqrt((1 - p) / x + (1 - q) / y)
  c(chi = unname(z$statistic), p = z$p.value, fisher = exact$p.value,
    odds(x, n, y, m),
    low = p - q - sqrt((p - a[1])^2 + (b[2] - q)^2),
    high = p - q + sqrt((a[2] - p)^2 + (q - b[1])^2),
    ratio_low = exp(log(p / q) - qnorm(0.975) * log_error),
    ratio_high = exp(log(p / q) + qnorm(0.975) * log_error))
}
tables <- cbind(tables, t(mapply(row, tables$x, tables$n, tables$y, tables$m)))
tables[!is.finite(as.matrix(tables))] <- -1  # a ratio to or from nothing has no interval

# Interaction of a ratio of shares with two strata: Cochran's Q from a weighted regression.
strata <- data.frame(log = log(c((122 / 781) / (114 / 786), (112 / 462) / (81 / 474))),
                     v = c((1 - 122 / 781) / 122 + (1 - 114 / 786) / 114,
                           (1 - 112 / 462) / 112 + (1 - 81 / 474) / 81))
fit <- lm(log ~ 1, data = strata, weights = 1 / v)
q <- sum(residuals(fit)^2 / strata$v)

writeLines(json(list(
  shares = shares, means = means, tables = tables,
  homogeneity = list(q = q, p = pchisq(q, 1, lower.tail = FALSE), ratio = exp(unname(coef(fit))))
)), commandArgs(trailingOnly = TRUE)[1])
