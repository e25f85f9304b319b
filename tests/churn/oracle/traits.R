# Reference values for tests/churn/test_churn_traits.py, from base R on the shipped table:
#   Rscript tests/churn/oracle/traits.R data/netflix/subscribers.csv tests/churn/oracle/traits.json
# Numbers with many values are cut as the study cuts them.

args <- commandArgs(trailingOnly = TRUE)
d <- read.csv(args[1], stringsAsFactors = FALSE)
churned <- d$churned == "Yes"

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

bands <- list(age = c(24, 34, 44, 54, 64), subscription_months = c(12, 24, 36, 48, 60))
groups <- function(column) {
  x <- d[[column]]
  if (!is.numeric(x) || length(unique(x)) <= 12) return(factor(x))
  ends <- bands[[column]]
  if (is.null(ends)) ends <- quantile(x, c(0.2, 0.4, 0.6, 0.8))
  droplevels(cut(x, c(-Inf, ends, Inf)))
}

numbers <- c("subscription_months", "age", "monthly_income", "profiles", "daily_watch_hours",
             "satisfaction_score", "engagement_rate", "support_queries")
traits <- c("genre", "region", "device", "plan", "payment_history", "promo_used", numbers)

tests <- lapply(setNames(traits, traits), function(column) {
  g <- groups(column)
  whole <- chisq.test(table(g, churned), correct = FALSE)
  rest <- lapply(levels(g), function(level) {
    t <- prop.test(table(factor(g == level, c(TRUE, FALSE)), !churned), correct = FALSE)
    c(unname(t$estimate[1] - t$estimate[2]), t$p.value)
  })
  list(statistic = unname(whole$statistic), df = unname(whole$parameter), p = whole$p.value,
       differences = vapply(rest, function(r) r[1], 0), p_rest = vapply(rest, function(r) r[2], 0))
})

direction <- lapply(setNames(numbers, numbers), function(column) {
  x <- d[[column]]
  ranks <- wilcox.test(x[churned], x[!churned], exact = FALSE)
  means <- t.test(x[churned], x[!churned])
  list(superiority = unname(ranks$statistic) / (sum(churned) * sum(!churned)),
       p = ranks$p.value, means = unname(means$estimate), limits = as.numeric(means$conf.int))
})

correlation <- cor.test(d$profiles, d$daily_watch_hours)

writeLines(json(list(
  tests = tests,
  holm = p.adjust(vapply(tests, function(t) t$p, 0), "holm"),
  direction = direction,
  direction_holm = p.adjust(vapply(direction, function(t) t$p, 0), "holm"),
  profiles_with_hours = c(unname(correlation$estimate), correlation$conf.int, correlation$p.value)
)), args[2])
