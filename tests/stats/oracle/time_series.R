# Reference values for tests/stats/test_time_series.py. Usage: Rscript --vanilla time_series.R OUT.json
# Packages: base R and sandwich (Debian: r-cran-sandwich).
library(sandwich)

n <- 120
t <- 0:(n - 1)
# Made by rule, so that no generator has to agree: counts of a busy week with a step at day 70.
y <- round(12 * exp(0.4 * t / 365.25 + 0.3 * (t >= 70) + 0.2 * sin(2 * pi * t / 7)) +
           4 * sin(t^2) + 2 * sin(t / 5))
step <- as.numeric(t >= 70)
sine <- sin(2 * pi * t / 7)
fit <- glm(y ~ I(t / 365.25) + step + sine, family = quasipoisson)
plain <- NeweyWest(fit, lag = 7, prewhite = FALSE, adjust = FALSE)
scan <- sapply(c(30, 50, 70, 90), function(day) {
  unname(coef(glm(y ~ I(t / 365.25) + sine + I(as.numeric(t >= day)), family = poisson))[4])
})
x <- residuals(fit, type = "pearson")
# Settings that statsmodels has and R's stl does not have by default.
parts <- stl(ts(sqrt(y), frequency = 7), s.window = 25, s.degree = 1, t.window = 29, l.window = 9,
             s.jump = 3, t.jump = 3, l.jump = 1, robust = TRUE, inner = 2, outer = 15)$time.series
out <- list(
  y = y,
  estimates = unname(coef(fit)),
  dispersion = summary(fit)$dispersion,
  hac = unname(plain),
  naive = unname(vcov(fit)),
  scan = scan,
  acf = as.numeric(acf(x, lag.max = 10, plot = FALSE)$acf)[-1],
  ljung_box = Box.test(x, lag = 7, type = "Ljung-Box")$p.value,
  trend = as.numeric(parts[, "trend"]),
  week = as.numeric(parts[, "seasonal"])
)

json <- function(v) {
  if (is.list(v)) {
    return(paste0("{", paste0("\"", names(v), "\": ", sapply(v, json), collapse = ",\n "), "}"))
  }
  if (is.matrix(v)) {
    return(paste0("[", paste(apply(v, 1, json), collapse = ", "), "]"))
  }
  text <- formatC(v, digits = 17, format = "g", width = 1)
  if (length(v) == 1) text else paste0("[", paste(text, collapse = ", "), "]")
}
writeLines(json(out), commandArgs(trailingOnly = TRUE)[1])
