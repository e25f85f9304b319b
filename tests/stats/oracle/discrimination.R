# Areas under ROC curves compared in pairs (pROC), and a quasi-binomial trend (base R).
# Run: Rscript discrimination.R > discrimination.json
suppressMessages({library(pROC); library(jsonlite)})
set.seed(7)
n <- 300
a <- sample(1:5, n, replace = TRUE)
b <- pmin(5, pmax(1, a + sample(-2:2, n, replace = TRUE)))
c <- sample(1:3, n, replace = TRUE)
y <- rbinom(n, 1, plogis(-1.5 + 0.4 * a + 0.1 * c))
scores <- list(a = a, b = b, c = c)
rocs <- lapply(scores, function(x) roc(y, x, direction = "<", quiet = TRUE))
pairs <- combn(names(scores), 2)
compared <- apply(pairs, 2, function(p) {
  t <- roc.test(rocs[[p[1]]], rocs[[p[2]]], method = "delong", paired = TRUE)
  list(first = p[1], second = p[2], difference = unname(t$estimate[1] - t$estimate[2]),
       low = t$conf.int[1], high = t$conf.int[2], p_value = t$p.value)
})
months <- 0:11 / 12
total <- c(80, 95, 90, 120, 130, 128, 150, 160, 171, 180, 210, 240)
sold <- c(20, 31, 17, 45, 37, 49, 41, 70, 52, 81, 71, 112)
fit <- glm(cbind(sold, total - sold) ~ months, family = quasibinomial())
s <- summary(fit)
cat(toJSON(list(
  made_by = paste("R", getRversion(), "pROC", packageVersion("pROC")),
  scores = scores, successes = y, compared = compared,
  trend = list(months = months, total = total, sold = sold, slope = s$coefficients[2, 1],
               error = s$coefficients[2, 2], p_value = s$coefficients[2, 4],
               dispersion = s$dispersion, fitted = unname(fitted(fit)))
), auto_unbox = TRUE, digits = NA))
