# Reference values for association and regression:
#   Rscript tests/stats/oracle/regression.R tests/stats/oracle/regression.json
# Needs, beside base R, the packages car, sandwich, lmtest and pROC
# (Debian: r-cran-car r-cran-sandwich r-cran-lmtest r-cran-proc).
# The customers are written beside the values, so that both sides use the same digits.

suppressMessages({
  library(car)
  library(sandwich)
  library(lmtest)
  library(pROC)
})

customers <- local({
  set.seed(20244, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  n <- 600
  device <- sample(c("and", "iOS"), n, TRUE, c(0.6, 0.4))
  country <- ifelse(device == "iOS", sample(c("A", "B", "C"), n, TRUE, c(0.6, 0.3, 0.1)),
                    sample(c("A", "B", "C"), n, TRUE, c(0.3, 0.4, 0.3)))
  age <- sample(c(-1, 0, 1, 2), n, TRUE)
  eta <- -1.2 + 0.5 * (device == "iOS") - 0.6 * (country == "C") + 0.2 * age
  paid <- rbinom(n, 1, plogis(eta))
  revenue <- paid * round(exp(rnorm(n, 6 + 0.3 * (device == "iOS"), 1)))
  data.frame(device, country, age, paid, revenue)
})

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  if (is.character(x)) {
    quoted <- paste0('"', x, '"')
    return(if (length(x) == 1) quoted else paste0("[", paste(quoted, collapse = ", "), "]"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}
bare <- function(x) unname(c(x))
matrix_rows <- function(x) bare(t(unname(x)))  # by row

logit <- glm(paid ~ device + age + country, binomial, customers,
             control = glm.control(epsilon = 1e-14))
ratios <- drop1(logit, test = "LRT")
roc <- roc(customers$paid, fitted(logit), quiet = TRUE, direction = "<")
eta <- predict(logit)
link <- glm(customers$paid ~ eta + I((eta - mean(eta))^2), family = binomial,
            control = glm.control(epsilon = 1e-14))
line <- lm(revenue ~ device + age + country, customers)
pagan <- bptest(line)
quasi <- glm(revenue ~ device + age + country, quasipoisson, customers,
             control = glm.control(epsilon = 1e-14))
hc1 <- nrow(customers) / (nrow(customers) - length(coef(quasi)))

hair <- apply(HairEyeColor, c(1, 2), sum)  # Snee (1974)
independence <- chisq.test(hair, correct = FALSE)
shares <- c(9, 3, 3, 1) / 16  # Mendel's peas
mendel <- chisq.test(c(315, 101, 108, 32), p = shares)
small <- matrix(c(3, 1, 1, 3), 2)  # Fisher's tea
set.seed(1)
sparse <- matrix(c(4, 1, 0, 2, 6, 3, 0, 5, 7), 3)

values <- list(
  customers = as.list(customers),
  logit = list(
    params = bare(coef(logit)), covariance = matrix_rows(vcov(logit)),
    log_likelihood = as.numeric(logLik(logit)),
    lr = bare(ratios$LRT[-1]), lr_p = bare(ratios$`Pr(>Chi)`[-1]),
    gvif = bare(vif(logit)[, 1]), auc = as.numeric(auc(roc)), auc_variance = var(roc),
    link_z = coef(summary(link))[3, 3]
  ),
  line = list(
    params = bare(coef(line)), hc3 = matrix_rows(vcovHC(line, "HC3")),
    r_squared = summary(line)$r.squared, sigma = sigma(line),
    bp = bare(pagan$statistic), bp_p = bare(pagan$p.value)
  ),
  quasi = list(
    params = bare(coef(quasi)), hc1 = matrix_rows(vcovHC(quasi, "HC0") * hc1),
    dispersion = summary(quasi)$dispersion
  ),
  hair = list(
    counts = matrix_rows(hair), statistic = bare(independence$statistic),
    p = independence$p.value, expected = matrix_rows(independence$expected),
    residuals = matrix_rows(independence$stdres)
  ),
  mendel = list(statistic = bare(mendel$statistic), p = mendel$p.value,
                residuals = bare(mendel$stdres)),
  tea = list(p = fisher.test(small)$p.value),
  sparse = list(
    counts = matrix_rows(sparse),
    simulated_p = chisq.test(sparse, simulate.p.value = TRUE, B = 1e6)$p.value
  )
)
writeLines(json(values), commandArgs(trailingOnly = TRUE)[1])
