// One experiment as the user wrote it: model, cluster, software, layout, schedule, training, failures, recovery,
// prices. Composes the readers of the folders and holds the rules that cross them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "failures/checkpoint.hpp"
#include "failures/hazard.hpp"
#include "failures/recovery.hpp"
#include "failures/training_run.hpp"
#include "parallelism/training.hpp"
#include "parallelism/unfolded_faults.hpp"
#include "scenarios/economics.hpp"
#include "scenarios/library.hpp"
#include "sim/config.hpp"
#include "topology/fabric.hpp"
#include "topology/network.hpp"
#include "topology/placement.hpp"

namespace runcast {

// A stretch of the run with a batch and a sequence length of its own: before the main one (batch ramp, curriculum) or,
// `last`, after it (long context, annealing), where wanted with its own layout and schedule.
struct PhaseSpec {
  std::string name;
  double tokens = 0;
  std::int64_t global_batch = 0, sequence_length = 0, micro_batch = 1;
  bool last = false;
  double gpu_share = 1;  // of the replicas that take part: a job that began smaller
  std::optional<Layout> layout;
  std::optional<ScheduleSpec> schedule;
};

// Training ends before all tokens are seen: after a share of them, or where a scaling law foresees a loss. The main
// stretch is cut; the phases are kept.
struct EarlyStop {
  double share = 1;
  std::optional<double> loss;
  std::string law = "chinchilla";
};

// What is asked of the run, and what shapes it besides failures.
struct RunSettings {
  std::optional<Seconds> deadline;
  std::optional<Dollars> budget;
  RunConditions conditions;
};

// Figures of the real run that a scenario stands for, told beside the simulated ones; 0: not published.
struct PublishedRun {
  double days = 0, gpu_hours = 0, energy_mwh = 0, co2e_t = 0;
  std::string source;
  std::vector<std::string> differs;  // what is in the one and not in the other, and what is not published
};

struct Scenario {
  std::string name;
  Model model;
  NodeSpec node;
  int nodes = 1;
  FabricSpec fabric;
  std::string placement = "packed";  // packed | scattered | random | file
  std::vector<std::int32_t> gpu_of;  // by rank, when placed by a file
  Fidelity network = Fidelity::alpha_beta;
  std::vector<Fault> faults;  // unequal ranks and links; any makes every step an unfolded one
  SoftwareProfile software;
  Layout layout;
  ScheduleSpec schedule;
  TrainingSpec training;
  std::int64_t microbatches = 1;
  std::vector<PhaseSpec> phases;  // in their order; those that are `last` follow the main stretch
  EarlyStop stop;
  double stopped_tokens = 0;  // of the whole run, with the early stop; training.tokens without one
  FailureModel failures;
  StorageSpec storage;
  CheckpointSettings checkpoint;
  RecoverySettings recovery;
  Economics economics;
  RunSettings run;
  std::optional<PublishedRun> published;
  struct Places {  // FILE:LINE:COLUMN, for rules that only the run can check
    std::string tokens, checkpoint;
  } places;
  std::vector<std::string> assumptions;  // what was guessed rather than given or measured

  int gpus() const { return nodes * node.gpus; }
  JobScale job_scale() const;
  Placement place(std::uint64_t seed) const;
  // The same scenario with a phase's batch and sequence; its rules were checked when it was read.
  Scenario at_phase(const PhaseSpec&) const;
  double main_tokens() const;  // of the main stretch
};

// GPUs of the document's cluster, the rest unread.
int gpus_of(Document& document, const Library& library);

// Reads the whole document and finishes it: throws ConfigError with all errors.
Scenario read_scenario(Document& document, const Library& library);

}  // namespace runcast
