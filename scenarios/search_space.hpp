// The layouts that a search looks at: values of each choice, the grids of ranks (cells) that they make on each machine,
// and one layout as the scenario that it is. What is left open is every value that the model, the batch and the GPU
// count allow.
//   cell    machine, tensor, sequence parallel, context, pipeline, data, expert, expert tensor, rank order
//   layout  a cell with micro-batch, schedule (with virtual stages and group size), recomputation, sharding, overlaps
// Stages are balanced as read_schedule balances them; lists of stages written in a scenario are of one pipeline alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scenarios/scenario.hpp"
#include "scenarios/scenario_source.hpp"

namespace runcast {

struct SearchAxes {
  // Empty: as in the scenario.
  std::vector<std::string> nodes;
  std::vector<std::int64_t> node_counts, global_batches;
  // Empty: all that divide.
  std::vector<std::int64_t> tensor, context, pipeline, expert, expert_tensor, micro_batch, virtual_stages;
  std::vector<std::int64_t> group_size = {0, -1};  // 0 = auto, -1 = all
  std::vector<std::int64_t> sequence_parallel = {1, 0};
  std::vector<std::int64_t> overlap_data = {1, 0}, overlap_tensor = {0, 1}, overlap_pipeline = {1, 0},
                            overlap_expert = {0, 1};
  std::vector<std::string> recompute = {"none", "selective", "full"};
  std::vector<std::string> sharding = {"none", "zero1", "zero2", "zero3"};
  std::vector<std::string> schedule;  // empty: all
  std::vector<std::string> order;  // axes with '-' between them; empty: Megatron's, LLaMA 3's, the scenario's
  std::vector<std::string> context_method;  // empty: the scenario's
};

// "tensor=[4, 8]": ConfigError with the nearest name, or the legal values.
void set_axis(SearchAxes& axes, const std::string& text);

// One cluster with one batch: the scenario without a layout.
struct Machine {
  Scenario scenario;
  std::vector<std::string> sets;  // of the machine's own keys
};

struct ScheduleChoice {
  const ScheduleRow* row = nullptr;
  int virtual_stages = 1;
  int group_size = 0;  // as in ScheduleSpec; -1: all micro-batches
};

struct Cell {
  std::int32_t machine = 0;
  Layout layout;
};

// Indices into the space's lists.
struct Choice {
  std::int32_t cell = 0;
  std::int32_t micro_batch = 1;
  std::int16_t schedule = 0;  // of the cell's pipeline
  std::int8_t recompute = 0, sharding = 0;
  bool overlap_data = true, overlap_tensor = false, overlap_pipeline = true, overlap_expert = false;
  friend auto operator<=>(const Choice&, const Choice&) = default;
};

// Why a layout is none, in the order in which it is asked.
enum class Rejection {
  tensor,
  sequence,
  experts,
  batch,
  layers,
  same,
  schedule,
  memory,
};
inline constexpr std::size_t kRejections = 8;
std::string_view sentence_of(Rejection);

class SearchSpace {
 public:
  SearchSpace(const ScenarioSource&, const SearchAxes&, const Library&);

  const std::vector<Machine>& machines() const { return machines_; }
  const std::vector<Cell>& cells() const { return cells_; }
  const std::vector<Recompute>& recomputes() const { return recomputes_; }
  const std::vector<Sharding>& shardings() const { return shardings_; }
  const SearchAxes& axes() const { return axes_; }
  // Which rule the cell breaks, if any; micro-batches and schedules that it could have.
  const Rejection* refused(const Cell&) const;
  std::vector<std::int64_t> micro_batches(const Cell&) const;
  std::vector<ScheduleChoice> schedules(int pipeline) const;
  // Layouts in one cell, each combination counted once.
  std::int64_t size(const Cell&) const;

  // Puts the choice into parts of a scenario; false when there is no such schedule (its refusal says why).
  std::int64_t microbatches(const Choice&) const;
  void apply(const Choice&, const ScheduleChoice&, TrainingSpec&, ScheduleSpec&) const;
  Scenario scenario(const Choice&) const;
  // The assignments that make the scenario's document this layout.
  std::vector<std::string> sets(const Choice&) const;

 private:
  void read_machines(const ScenarioSource&, const Library&);
  void list_cells(const Layout& base);
  void list_choices(const Scenario& base);

  SearchAxes axes_;
  std::vector<Machine> machines_;
  std::vector<Cell> cells_;
  std::vector<Recompute> recomputes_;
  std::vector<Sharding> shardings_;
  std::vector<std::array<Axis, 4>> orders_;
  std::vector<std::string>
      removed_;  // "schedule.stage_layers=": keys of the scenario that belong to its layout
};

std::vector<std::int64_t> divisors(std::int64_t n);

}  // namespace runcast
