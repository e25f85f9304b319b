# Reference values for tests/stats/test_survival.py, from R and its package survival (Debian:
# r-cran-survival):
#   Rscript tests/stats/oracle/survival.R tests/stats/oracle/survival.json
# The counts are written beside the values, so that both sides use the same data.

library(survival)

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  digits <- sub("^Inf$", "Infinity", sub("^-Inf$", "-Infinity", digits))
  digits[is.na(x)] <- "NaN"
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

# Counts by time: many ties, events at time 0, censorings at event times, times with neither.
counts <- list(
  a = list(time = c(0, 1, 2, 3, 5, 8, 9, 12, 20, 31),
           events = c(7, 5, 0, 4, 3, 2, 0, 2, 1, 0),
           censored = c(1, 0, 2, 3, 0, 4, 1, 0, 6, 9)),
  b = list(time = c(0, 1, 2, 4, 5, 7, 9, 15, 20, 28),
           events = c(2, 3, 1, 2, 2, 1, 1, 2, 0, 1),
           censored = c(0, 2, 1, 3, 1, 0, 5, 2, 8, 3)),
  c = list(time = c(1, 3, 6, 9, 10, 14),   # everybody has the event
           events = c(3, 4, 4, 5, 2, 1),
           censored = c(0, 2, 0, 1, 0, 0)),
  d = list(time = c(1, 2, 4, 7), events = c(1, 1, 1, 1), censored = c(0, 0, 0, 0))  # 0.5 exactly
)
rows <- function(x, group) {
  data.frame(
    time = rep(rep(x$time, 2), c(x$events, x$censored)),
    status = rep(c(1, 0), c(sum(x$events), sum(x$censored))), group = group
  )
}
people <- do.call(rbind, Map(rows, counts, names(counts)))

curve <- function(data, until) {
  fit <- survfit(Surv(time, status) ~ 1, data, conf.type = "log-log")
  q <- quantile(fit, c(0.1, 0.25, 0.5, 0.8))
  mean <- summary(fit, rmean = until)$table
  list(
    time = fit$time, survival = fit$surv, error = fit$surv * fit$std.err,
    low = fit$lower, high = fit$upper,
    quantile = unname(q$quantile), quantile_low = unname(q$lower), quantile_high = unname(q$upper),
    until = until, mean = unname(mean["rmean"]), mean_error = unname(mean["se(rmean)"])
  )
}
logrank <- function(groups) {
  data <- people[people$group %in% groups, ]
  test <- survdiff(Surv(time, status) ~ group, data)
  list(statistic = test$chisq, df = length(groups) - 1,
       p = pchisq(test$chisq, length(groups) - 1, lower.tail = FALSE),
       observed = test$obs, expected = test$exp)
}

# Recurrent events of 40 subjects in six spans, at most one a span: the mean cumulative function is
# the Nelson-Aalen estimate, with the robust (infinitesimal jackknife) error over subjects.
set.seed(5, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
spans <- sample(1:6, 40, replace = TRUE, prob = c(1, 1, 2, 2, 3, 6))
liking <- runif(40)
events <- t(sapply(1:40, function(i) ifelse(1:6 <= spans[i], runif(6) < liking[i], NA)))
long <- do.call(rbind, lapply(1:40, function(i) data.frame(
  id = i, start = seq_len(spans[i]) - 1, stop = seq_len(spans[i]),
  status = as.numeric(events[i, seq_len(spans[i])]))))
recurrent <- survfit(Surv(start, stop, status) ~ 1, long, id = id, robust = TRUE)

# Hall's interval by its definition: where the transformed statistic reaches the quantiles.
hall <- function(x) {
  n <- length(x); m <- mean(x); s <- sd(x)
  g <- n / ((n - 1) * (n - 2)) * sum(((x - m) / s)^3)
  transformed <- function(t) t + g * t^2 / (3 * sqrt(n)) + g^2 * t^3 / (27 * n) + g / (6 * sqrt(n))
  limit <- function(q) {
    m - uniroot(function(t) transformed(t) - q, c(-1e3, 1e3), tol = 1e-13)$root * s / sqrt(n)
  }
  q <- qt(0.975, n - 1)
  list(sample = x, low = limit(q), high = limit(-q))
}

writeLines(json(list(
  counts = counts,
  curves = list(a = curve(people[people$group == "a", ], 18),
                b = curve(people[people$group == "b", ], 25.5),
                c = curve(people[people$group == "c", ], 10),
                d = curve(people[people$group == "d", ], 5)),
  logrank = list(two = logrank(c("a", "b")), three = logrank(c("a", "b", "c"))),
  recurrent = list(spans = spans, events = as.numeric(t(events)), mean = recurrent$cumhaz,
                   error = recurrent$std.chaz),
  hall = list(skewed = hall(round(rlnorm(40, 1, 1.3), 2)), left = hall(-round(rexp(25)^2, 3)),
              level = hall(round(rnorm(30, 5), 2)))
)), commandArgs(TRUE)[1])
