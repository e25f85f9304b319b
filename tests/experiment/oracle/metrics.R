# Reference values for test_experiment_metrics.py and test_experiment_decision.py, from base R:
#   Rscript tests/experiment/oracle/metrics.R tests/experiment/oracle/metrics.json
# Shares are rows of successes and customers, Test first; all counts are invented.
json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

shares <- function(a, n, c, m) {
  z <- prop.test(c(a, c), c(n, m), correct = FALSE)
  exact <- fisher.test(matrix(c(a, n - a, c, m - c), 2, byrow = TRUE))
  list(test = c(a, n), control = c(c, m),
       z = sign(a / n - c / m) * sqrt(unname(z$statistic)), p = z$p.value,
       exact = exact$p.value, odds = unname(exact$estimate), odds_low = exact$conf.int[1],
       odds_high = exact$conf.int[2], h = 2 * asin(sqrt(a / n)) - 2 * asin(sqrt(c / m)))
}

# Halves: power.prop.test knows no other split; strict counts both tails.
plan <- function(share, rise) {
  found <- power.prop.test(p1 = share, p2 = share + rise, power = 0.8, sig.level = 0.05,
                           strict = TRUE, tol = 1e-10)
  list(share = share, rise = rise, n = found$n)
}

# Days to conversion as values and how often each occurs, with ties.
days <- list(control = list(values = 0:6, counts = c(40, 22, 9, 12, 5, 3, 1)),
             test = list(values = 0:6, counts = c(25, 9, 8, 6, 2, 1, 0)))
spread <- function(x) rep(x$values, x$counts)
times <- wilcox.test(spread(days$test), spread(days$control), exact = FALSE, correct = TRUE)
p <- c(0.011, 0.04, 0.3, 0.002)

# Tasks completed: Welch.
done <- list(control = c(120, 60, 40, 130), test = c(40, 22, 19, 71))
welch <- t.test(rep(0:3, done$test), rep(0:3, done$control))

# E[max(X, 0)] of normals by quadrature, and the normal posterior on a fine grid.
positive <- function(mean, sd) {
  integrate(function(x) x * dnorm(x, mean, sd), 0, mean + 40 * sd, rel.tol = 1e-12,
            subdivisions = 2000)$value
}
grid <- seq(-0.2, 0.2, length.out = 400001)
weight <- dnorm(0.017, grid, 0.0085) * dnorm(grid, 0, 0.02)
weight <- weight / sum(weight)
centre <- sum(weight * grid)

writeLines(json(list(
  shares = list(
    usual = shares(910, 3622, 1961, 8374), falls = shares(40, 320, 190, 800),
    sparse = shares(1, 9, 6, 14)),
  plans = list(two = plan(0.234, 0.02), one = plan(0.234, 0.01)),
  times = list(control = days$control$counts, test = days$test$counts, p = times$p.value,
               u = unname(times$statistic)),
  completions = list(control = done$control, test = done$test, p = welch$p.value,
                     low = welch$conf.int[1], high = welch$conf.int[2]),
  holm = list(p = p, adjusted = p.adjust(p, "holm")),
  positive = list(mean = c(0.01, -0.002, -0.03), sd = c(0.008, 0.005, 0.01),
                  value = c(positive(0.01, 0.008), positive(-0.002, 0.005), positive(-0.03, 0.01))),
  posterior = list(difference = 0.017, error = 0.0085, prior_sd = 0.02, mean = centre,
                   sd = sqrt(sum(weight * (grid - centre)^2)),
                   harm = pnorm(0, centre, sqrt(sum(weight * (grid - centre)^2))))
)), commandArgs(TRUE)[1])
