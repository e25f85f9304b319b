# Reference values for tests/churn/test_churn_queries.py, from base R:
#   Rscript tests/churn/oracle/queries.R tests/churn/oracle/queries.json
# Ages and numbers of queries with many ties; they are written beside the values.

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

case <- function(age, queries, margin = 0.1) {
  n <- length(age)
  pearson <- cor.test(age, queries)
  tost <- cor.test(age, queries, conf.level = 0.9)$conf.int
  z <- atanh(pearson$estimate)
  error <- 1 / sqrt(n - 3)
  rho <- cor(age, queries, method = "spearman")
  reach <- qnorm(0.975) * sqrt((1 + rho^2 / 2) / (n - 3))
  band <- cut(age, c(-1, 24, 34, 44, 54, 64, 200), labels = FALSE)
  welch <- oneway.test(queries ~ band)
  by_age <- aggregate(queries ~ age, FUN = function(q) c(n = length(q), total = sum(q)))$queries
  list(age = age, queries = queries,
       pearson = c(pearson$statistic, pearson$estimate, pearson$conf.int, pearson$p.value),
       equivalence = c(tost, max(pnorm((z + atanh(margin)) / error, lower.tail = FALSE),
                                 pnorm((z - atanh(margin)) / error))),
       spearman = c(rho, tanh(atanh(rho) - reach), tanh(atanh(rho) + reach),
                    2 * pt(-abs(rho * sqrt((n - 2) / (1 - rho^2))), n - 2)),
       bands = c(welch$statistic, welch$parameter, welch$p.value),
       explained = summary(lm(by_age[, "total"] ~ by_age[, "n"]))$r.squared,
       ratio = var(queries) / mean(queries))
}

set.seed(1904)
ages <- function(n) sample(18:70, n, replace = TRUE)
none <- ages(1500)
rising <- ages(300)
writeLines(json(list(
  none = case(none, sample(0:10, 1500, replace = TRUE)),
  rising = case(rising, rpois(300, rising / 12)),
  few = case(ages(120), rpois(120, 3))
)), commandArgs(TRUE)[1])
