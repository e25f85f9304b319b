# Reference values for tests/experiment/test_experiment_trust.py, from base R:
#   Rscript tests/experiment/oracle/trust.R tests/experiment/oracle/trust.json
# Counts are invented.

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

split <- function(test, n) {
  list(test = test, n = n, exact = binom.test(test, n, 0.3)$p.value,
       chi = suppressWarnings(chisq.test(c(n - test, test), p = c(0.7, 0.3)))$p.value,
       wilson = prop.test(test, n, correct = FALSE)$conf.int[1:2])
}

hours <- function(hour, control, test) {
  trend <- prop.trend.test(test, control + test, hour)
  slope <- coef(lm(rep(c(1, 0), c(sum(test), sum(control))) ~ rep(c(hour, hour), c(test, control))))
  table <- suppressWarnings(chisq.test(rbind(control, test), correct = FALSE))
  list(hour = hour, control = control, test = test, trend = trend$p.value,
       z = unname(sqrt(trend$statistic)), slope = unname(slope[2]), spread = table$p.value)
}

shares <- function(control, control_n, test, test_n) {
  table <- rbind(c(control, control_n - control), c(test, test_n - test))
  list(yes = c(control, test), n = c(control_n, test_n),
       chi = suppressWarnings(chisq.test(table, correct = FALSE))$p.value,
       fisher = fisher.test(table)$p.value)
}

writeLines(json(list(
  even = split(3622, 11996),
  off = split(900, 3500),
  few = split(5, 12),
  busy = hours(c(8, 9, 12, 15, 20, 23), c(70, 91, 120, 80, 66, 30), c(40, 38, 50, 33, 25, 12)),
  drifting = hours(c(0, 6, 12, 18), c(90, 80, 70, 60), c(20, 30, 40, 50)),
  common = shares(812, 1400, 381, 602),
  rare = shares(3, 700, 6, 310)
)), commandArgs(trailingOnly = TRUE)[1])
