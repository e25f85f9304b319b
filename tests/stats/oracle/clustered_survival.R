# Reference values for tests/stats/test_survival.py, from R and its package survival (Debian:
# r-cran-survival):
#   Rscript tests/stats/oracle/clustered_survival.R tests/stats/oracle/clustered_survival.json
# Subjects that come in clusters, with times in whole days and so many ties; six groups; medians
# that are reached, just reached, and not reached. The rows are written beside the values.

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

set.seed(11, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
users <- 240
group <- rep(1:6, each = users / 6)                      # a user is in one group
many <- sample(1:5, users, replace = TRUE, prob = c(5, 3, 2, 1, 1))
frailty <- rexp(users)                                   # what a user's enrolments share
rows <- data.frame(user = rep(seq_len(users), many), group = rep(group, many))
n <- nrow(rows)
never <- runif(n) > pmin(0.95, 0.4 + 0.25 * frailty[rows$user])
took <- floor(rlnorm(n, log(20 + 4 * rows$group), 0.7))
took[never] <- Inf
seen <- floor(runif(n, 1, 150))
rows$status <- as.numeric(took <= seen)
rows$time <- pmin(took, seen)

all <- survfit(Surv(time, status) ~ 1, rows, conf.type = "log-log")
at <- c(10, 30, 60, 120)
influence <- resid(all, times = at, type = "pstate", collapse = FALSE)
until <- 100
rmst <- resid(all, times = until, type = "sojourn", collapse = FALSE)
clustered <- function(values) sqrt(colSums(rowsum(as.matrix(values), rows$user)^2))

pair <- function(a, b) {
  data <- rows[rows$group %in% c(a, b), ]
  data$first <- as.numeric(data$group == a)
  robust <- coxph(Surv(time, status) ~ first, data, cluster = user, ties = "breslow")
  plain <- survdiff(Surv(time, status) ~ group, data)
  list(robust = unname(summary(robust)$robscore["test"]), plain = plain$chisq,
       observed = plain$obs, expected = plain$exp)
}
six <- survdiff(Surv(time, status) ~ group, rows)
medians <- lapply(1:6, function(g) {
  fit <- survfit(Surv(time, status) ~ 1, rows[rows$group == g, ], conf.type = "log-log")
  q <- quantile(fit, c(0.25, 0.5))
  list(value = unname(q$quantile), low = unname(q$lower), high = unname(q$upper))
})
names(medians) <- paste0("g", 1:6)

writeLines(json(list(
  user = rows$user, group = rows$group, time = rows$time, status = rows$status,
  at = at, until = until,
  error = clustered(influence), mean_error = clustered(rmst),
  naive_error = summary(all, times = at)$std.err,
  pair = pair(1, 6), other_pair = pair(2, 3),
  six = list(statistic = six$chisq, df = 5, p = pchisq(six$chisq, 5, lower.tail = FALSE),
             observed = six$obs, expected = six$exp),
  medians = medians
)), commandArgs(TRUE)[1])
