// Steps of scenarios that are small enough for thousands of them a minute: bounds on GPUs, layers and micro-batches
// keep an execution short. The figures must be finite, and the step's account must close (an INVARIANT of the step).
#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/experiment.hpp"
#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void step(std::string_view input) {
  static const Library library;
  answered([&] {
    const auto open = [&] { return Document::parse(std::string(input), "scenario.yaml"); };
    Document document = open();
    const Scenario s = read_scenario(document, library);
    const bool small =
        s.layout.world() <= 64 && s.microbatches <= 16 && s.model.layers <= 32 && s.nodes <= 64;
    if (!small || !s.phases.empty() || !s.faults.empty() || s.network == Fidelity::flow) return;
    const nlohmann::ordered_json result = step_document(open(), library, {});
    // A quantity that overflows is told as null, which is no time of a step.
    INVARIANT(result["step"]["time_s"].is_number() && result["step"]["time_s"].get<double>() > 0);
  });
}

}  // namespace runcast::fuzz
