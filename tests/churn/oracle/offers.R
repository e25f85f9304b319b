# Reference values for tests/churn/test_churn_offers.py, from base R and the package metafor:
#   Rscript tests/churn/oracle/offers.R tests/churn/oracle/offers.json
# Strata are rows of exposed and churned, exposed, others and churned, others; invented, and written
# beside the values. Where metafor is missing, only base R's values are written.
json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

case <- function(a, n1, c, n2) {
  b <- n1 - a
  d <- n2 - c
  tables <- array(rbind(a, c, b, d), c(2, 2, length(a)))
  usual <- mantelhaen.test(tables, correct = FALSE)
  exact <- mantelhaen.test(tables, exact = TRUE)
  found <- list(a = a, n1 = n1, c = c, n2 = n2, p = usual$p.value, odds = unname(usual$estimate),
                odds_low = usual$conf.int[1], odds_high = usual$conf.int[2],
                exact_odds = unname(exact$estimate), exact_low = exact$conf.int[1],
                exact_high = exact$conf.int[2])
  if (requireNamespace("metafor", quietly = TRUE)) {
    ratio <- metafor::rma.mh(measure = "RR", ai = a, bi = b, ci = c, di = d, add = 0, drop00 = FALSE)
    odds <- metafor::rma.mh(measure = "OR", ai = a, bi = b, ci = c, di = d, add = 0, correct = FALSE)
    found <- c(found, list(ratio = exp(ratio$beta[1]), ratio_low = exp(ratio$ci.lb),
                           ratio_high = exp(ratio$ci.ub), tarone = odds$TA, tarone_p = odds$TAp))
  }
  found
}

writeLines(json(list(
  alike = case(c(12, 20, 9), c(60, 110, 45), c(25, 41, 20), c(62, 105, 51)),
  differing = case(c(30, 8, 14, 22), c(70, 90, 66, 48), c(12, 25, 16, 9), c(64, 88, 71, 52)),
  sparse = case(c(1, 3, 2, 0), c(6, 9, 5, 4), c(3, 4, 3, 2), c(7, 8, 6, 5))
)), commandArgs(TRUE)[1])
