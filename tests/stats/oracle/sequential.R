# Reference values for tests/stats/test_sequential.py, from rpact (Debian: r-cran-rpact):
#   Rscript tests/stats/oracle/sequential.R tests/stats/oracle/sequential.json
# rpact's stage-wise interval is one-sided at level alpha on either side, so designs are sided = 1
# at 0.025 where it is asked for; with boundaries this far apart the other side plays no role.

suppressMessages(library(rpact))

json <- function(x) {
  if (is.list(x)) {
    if (is.null(names(x))) return(paste0("[", paste(vapply(x, json, ""), collapse = ",\n"), "]"))
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  if (is.character(x)) return(paste0('"', x, '"'))
  values <- ifelse(is.infinite(x), "Infinity", sprintf("%.12g", x))
  paste0("[", paste(values, collapse = ", "), "]")
}

design <- function(information, kind, power) {
  d <- getDesignGroupSequential(
    informationRates = information, alpha = 0.05, beta = 1 - power, sided = 2,
    typeOfDesign = c("O'Brien-Fleming" = "asOF", "Pocock" = "asP")[[kind]]
  )
  size <- getDesignCharacteristics(d)
  list(
    spending = kind, information = information, power = power, z = d$criticalValues,
    spent = d$alphaSpent, inflation = size$inflationFactor,
    expected_effect = size$averageSampleNumber1, expected_none = size$averageSampleNumber0
  )
}

# A test of one mean with known sd 1, so the information is the number of values.
stop_at <- function(information, n, z) {
  d <- getDesignGroupSequential(
    informationRates = information, alpha = 0.025, sided = 1, typeOfDesign = "asOF"
  )
  so_far <- (information * n)[seq_along(z)]
  data <- getDataset(
    overallN = so_far, overallMeans = z / sqrt(so_far), overallStDevs = rep(1, length(z))
  )
  end <- getFinalConfidenceInterval(
    d, data, normalApproximation = TRUE, directionUpper = TRUE, stage = length(z)
  )
  p <- getFinalPValue(getStageResults(
    d, data, normalApproximation = TRUE, directionUpper = TRUE, stage = length(z)
  ))
  list(
    information = information, n = n, z = z, p_value = p$pFinal,
    low = end$finalConfidenceInterval[1], high = end$finalConfidenceInterval[2],
    estimate = end$medianUnbiased
  )
}

uneven <- c(0.12, 0.31, 0.44, 0.78, 0.9, 1)
out <- list(
  rpact = as.character(packageVersion("rpact")),
  designs = list(
    design((1:5) / 5, "O'Brien-Fleming", 0.8), design((1:5) / 5, "Pocock", 0.8),
    design((1:12) / 12, "O'Brien-Fleming", 0.9), design((1:12) / 12, "Pocock", 0.9),
    design(uneven, "O'Brien-Fleming", 0.8), design(uneven, "Pocock", 0.8)
  ),
  stops = list(
    stop_at(c(0.25, 0.5, 0.75, 1), 400, c(0.5, 3.2)),
    stop_at(c(0.25, 0.5, 0.75, 1), 400, c(1.5, 2.1, 2.6)),
    stop_at(c(0.2, 0.5, 0.9, 1), 1000, c(1.1, 1.4, 1.9, 1.95)),
    stop_at(c(0.2, 0.5, 0.9, 1), 1000, c(1.1, 1.4, 1.9, 2.4))
  )
)
writeLines(json(out), commandArgs(TRUE)[1])
