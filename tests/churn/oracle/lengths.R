# Reference values for tests/churn/test_churn_lengths.py, from base R and the package survival:
#   Rscript tests/churn/oracle/lengths.R tests/churn/oracle/lengths.json
# Subscribers and churned by month are invented; they are written beside the values.
library(survival)

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- ifelse(is.nan(x), "null", sprintf("%.17g", x))
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

case <- function(month, n, churned) {
  # One row a subscriber.
  m <- c(rep(month, churned), rep(month, n - churned))
  y <- rep(c(1, 0), c(sum(churned), sum(n - churned)))
  last <- max(m[y == 1])
  inside <- m <= last
  part <- month <= last
  # The trend up to the last churn, its HC3 error, and the spread of the months.
  trend <- prop.trend.test(churned[part], n[part], month[part])
  fit <- lm(y[inside] ~ m[inside])
  x <- model.matrix(fit)
  bread <- solve(crossprod(x))
  meat <- crossprod(x * (residuals(fit) / (1 - hatvalues(fit))))
  slope <- unname(coef(fit)[2])
  error <- sqrt((bread %*% meat %*% bread)[2, 2])
  spread <- suppressWarnings(chisq.test(rbind(churned[part], n[part] - churned[part]), correct = FALSE))
  # The likelihood of each single change, by logistic regression on an indicator.
  null <- glm(cbind(churned, n - churned) ~ 1, family = binomial)$deviance
  linear <- glm(cbind(churned, n - churned) ~ month, family = binomial,
                control = list(epsilon = 1e-14, maxit = 100))$deviance
  splits <- vapply(head(month, -1), function(s) {
    null - suppressWarnings(
      glm(cbind(churned, n - churned) ~ I(month > s), family = binomial,
          control = list(epsilon = 1e-14, maxit = 100))$deviance)
  }, 0)
  # Nobody among the last ones, and nobody in the last months at risk.
  later <- sum(n[month > last])
  start <- min(1, min(month))
  at_risk <- vapply(seq(start, max(month)), function(k) sum(n[month >= k]), 0)
  before <- sum(at_risk[seq(start, max(month)) <= last])
  after <- sum(at_risk[seq(start, max(month)) > last])
  curve <- survfit(Surv(m, y) ~ 1, conf.type = "log-log")
  at <- c(3, 6, 12, 24)
  read <- summary(curve, times = at[at <= max(month)])
  list(month = month, n = n, churned = churned, z_squared = unname(trend$statistic),
       slope = slope, slope_low = slope - qnorm(0.975) * error,
       slope_high = slope + qnorm(0.975) * error,
       chi_squared = unname(spread$statistic), df = unname(spread$parameter), splits = splits,
       slope_ratio = null - linear,
       tail_log10 = if (later) phyper(0, later, sum(n) - later, sum(churned), log.p = TRUE) / log(10) else 0,
       hazard_log10 = if (later) phyper(0, after, before, sum(churned), log.p = TRUE) / log(10) else 0,
       before = before, after = after,
       survival = read$surv, survival_low = read$lower, survival_high = read$upper)
}

writeLines(json(list(
  cliff = case(1:14, c(20, 31, 25, 18, 40, 22, 27, 30, 19, 24, 33, 21, 26, 28),
               c(6, 9, 9, 4, 13, 6, 8, 10, 0, 0, 0, 0, 0, 0)),
  slope = case(c(0, 2, 3, 5, 9, 14, 20, 31), c(30, 12, 44, 25, 38, 41, 29, 35),
               c(15, 5, 20, 8, 12, 9, 5, 2)),
  rise = case(c(1, 4, 6, 24, 30), c(50, 60, 40, 55, 9), c(3, 9, 4, 22, 0))
)), commandArgs(TRUE)[1])
