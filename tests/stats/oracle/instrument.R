# Reference values for tests/stats/test_instrument.py, from R's packages AER (Debian: r-cran-aer),
# whose ivreg fits, and sandwich, whose vcovHC has the HC1 errors:
#   Rscript tests/stats/oracle/instrument.R tests/stats/oracle/instrument.json
# The data are written beside the values, so that both sides use the same.

suppressMessages(library(AER))

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  digits <- sub("^Inf$", "Infinity", sub("^-Inf$", "-Infinity", digits))
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

robust <- function(fit, name) {
  c(unname(coef(fit)[name]), sqrt(vcovHC(fit, "HC1")[name, name]))
}

# Where the robust test of z in a regression of y - effect * d on z stops rejecting, by bisection.
rejects <- function(data, effect, right) {
  fit <- lm(as.formula(paste("I(y - effect * d) ~ z", right)), data)
  found <- robust(fit, "z")
  (found[1] / found[2])^2 - qchisq(0.95, 1)
}
limit <- function(data, right, inside, outside) {
  uniroot(function(b) rejects(data, b, right), sort(c(inside, outside)), tol = 1e-13)$root
}

values <- function(data, right = "", ends = NULL) {
  two <- ivreg(as.formula(paste("y ~ d", right, "| z", right)), data = data)
  stage <- robust(lm(as.formula(paste("d ~ z", right)), data), "z")
  form <- robust(lm(as.formula(paste("y ~ z", right)), data), "z")
  effect <- robust(two, "d")
  found <- c(as.list(data), list(
    stage = stage, form = form, effect = effect, f = (stage[1] / stage[2])^2))
  if (!is.null(ends)) {
    found$region <- c(limit(data, right, effect[1], ends[1]), limit(data, right, effect[1], ends[2]))
  }
  found
}

set.seed(7, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
n <- 300
x <- rnorm(n); u <- rnorm(n)
z <- as.numeric(runif(n) < 0.4)
d <- as.numeric(u + 1.2 * z + rnorm(n) > 0.6)
y <- as.numeric(0.5 * d - 0.8 * u + 0.4 * x + rnorm(n) > 0)
binary <- data.frame(y, d, z)
z2 <- rnorm(n) + 0.5 * x
d2 <- 0.6 * z2 + u + rnorm(n)
y2 <- 1.5 * d2 + 2 * u + x + rnorm(n) * (1 + abs(z2))
continuous <- data.frame(y = y2, d = d2, z = z2, x = x)
weak <- data.frame(y = y2, d = 0.02 * z2 + u, z = z2)

# Stock & Watson (2007, chapter 12): the elasticity of the demand for cigarettes in 1995, with the
# sales tax as instrument for the price; they print -1.08 with a standard error of 0.32.
data("CigarettesSW", package = "AER")
cigarettes <- with(subset(CigarettesSW, year == "1995"), data.frame(
  y = log(packs), d = log(price / cpi), z = (taxs - tax) / cpi))

writeLines(json(list(
  binary = values(binary, ends = c(-3, 3)),
  continuous = values(continuous, "+ x", c(-5, 8)),
  cigarettes = values(cigarettes, ends = c(-6, 6)),
  weak = values(weak)
)), commandArgs(TRUE)[1])
