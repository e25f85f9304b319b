# Reference values for tests/stats/test_cox.py, from R's package survival (Debian: r-cran-survival):
#   Rscript tests/stats/oracle/cox.R tests/stats/oracle/cox.json
# The data are written beside the values, so that both sides use the same: the Veterans' lung cancer
# trial (Kalbfleisch & Prentice 1980), as it is and in whole months, which makes many ties.

library(survival)

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- if (is.character(x)) paste0('"', x, '"') else sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

fitted <- function(data, ties) {
  fit <- coxph(Surv(time, status) ~ trt + celltype + karno, data, ties = ties,
               control = coxph.control(eps = 1e-12, iter.max = 50))
  check <- cox.zph(fit, transform = "km", terms = FALSE)$table
  list(
    params = unname(coef(fit)), error = unname(sqrt(diag(vcov(fit)))),
    null = fit$loglik[1], loglik = fit$loglik[2], covariance = as.numeric(vcov(fit)),
    zph = unname(check[, "chisq"]), zph_p = unname(check[, "p"])
  )
}

days <- veteran
months <- transform(veteran, time = ceiling(time / 30))
writeLines(json(list(
  trt = days$trt, celltype = as.character(days$celltype), karno = days$karno,
  status = days$status, days = days$time, months = months$time,
  fits = list(
    days_efron = fitted(days, "efron"), days_breslow = fitted(days, "breslow"),
    months_efron = fitted(months, "efron"), months_breslow = fitted(months, "breslow"))
)), commandArgs(TRUE)[1])
