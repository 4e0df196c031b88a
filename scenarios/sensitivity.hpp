// What each constant does to step time, days and cost: elasticities by simulating again with the constant up and down.
//   elasticity = d ln(figure) / d ln(constant), over +-5 %; 0.4: ten per cent more of it makes the figure 4 % larger
// All runs meet the same failures (one seed), so that differences are the constant's. Levers: figures of the hardware,
// calibrated efficiencies (calibration_constants), rates of failures, saves and restarts, prices.
// With how well the calibration knows each constant, independent of each other, the headline figures get an interval:
//   variance of ln(figure) = sum (elasticity x sd of ln(constant))^2
// An upper bound where constants trade off in the fit; beside it stands the interval of like measured steps (prediction).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "scenarios/experiment.hpp"

namespace runcast {

// Of a document of `run`: {"rows": [{"name", "kind", "step", "days", "usd", "sd"}], "calibration": {...}}.
nlohmann::ordered_json sensitivity_json(const Scenario&, const Library&, const ExperimentOptions&);

}  // namespace runcast
