// Scenario -> result: the one place that joins cluster, step, memory, run and cost. Results are JSON documents with
// the keys of the interface ("schema_version": 1), from which every output format is rendered.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "parallelism/memory.hpp"
#include "parallelism/step_timeline.hpp"
#include "parallelism/training_step.hpp"
#include "parallelism/unfolded_step.hpp"
#include "scenarios/library.hpp"
#include "scenarios/scenario.hpp"
#include "sim/config.hpp"

namespace runcast {

struct ExperimentOptions {
  std::uint64_t seed = 1;
  int threads = 1;                        // the same bits for any number
  bool sensitivity = false;               // run: elasticities to each constant too
  bool unfolded = false;                  // every rank on its own clock, and the critical path
  std::optional<std::int64_t> trials;     // none: 200
  bool automatic_trials = false;          // until the mean days are known to 0.1 %, at most 10,000
  std::optional<std::int64_t> log_trial;  // goodput, run: the events and stretches of this trial too
  bool studies = false;                   // run: the curves that goodput tells
  bool activity = false;                  // step, run: what the GPUs do in each slice of the step
  std::function<void(std::int64_t done, std::int64_t total)> progress;  // may be empty
};

// One simulated step with its memory: what `step` prints, and what studies compare.
struct StepExperiment {
  StepResult step;
  MemoryReport memory;
  std::optional<UnfoldedResult> unfolded;        // when it was asked for
  std::shared_ptr<const StepTimeline> timeline;  // when it was asked for
};
struct StepDetail {
  bool explained = false;  // every rank on its own clock, with the critical path
  bool timeline = false;   // what each rank does, down to the micro-batches
};
StepExperiment simulate(const Scenario&, std::uint64_t seed, StepDetail = {});
MemoryReport memory_of(const Scenario&);
// The step of a scenario with every rank on its own clock; `explained` by its critical path (a simulation for each
// cause).
UnfoldedResult unfolded_step_of(const Scenario&, std::uint64_t seed, bool explained);
// What each rank does when; unfolded where asked for or where the scenario has faults.
StepTimeline timeline_of(const Scenario&, std::uint64_t seed, bool all_ranks, TimelineLevel);
// The step alone, unfolded where the scenario has faults; `attribute_transfers` as in StepInput.
StepResult step_of(const Scenario&, std::uint64_t seed, bool attribute_transfers);
// The keys of step.breakdown_s.
nlohmann::ordered_json breakdown_json(const StepBreakdown&);

// Each throws ConfigError for the user's mistakes. A layout that does not fit is an answer, not an error:
// step.memory.fits is false and the rest is there.
nlohmann::ordered_json run_document(Document, const Library&, const ExperimentOptions&);   // step, run, cost
nlohmann::ordered_json step_document(Document, const Library&, const ExperimentOptions&);  // step
nlohmann::ordered_json goodput_document(Document, const Library&,
                                        const ExperimentOptions&);  // run, cost, studies
// The runs that differ in one key, on the same failures; the first is what the others are compared with.
struct Alternative {
  std::string value;
  Document document;
};
nlohmann::ordered_json comparison_document(std::vector<Alternative>, const std::string& key, const Library&,
                                           const ExperimentOptions&);
nlohmann::ordered_json memory_document(Document, const Library&, const ExperimentOptions&);  // step.memory

}  // namespace runcast
