// One cell of a search: all its layouts counted, pruned and bounded; and one layout simulated. What layouts of a cell
// share (groups of ranks, priced layers, traffic, messages) is worked out once; what cells share (a schedule's order
// and its live chunks) is kept by the search. Private to search_engine.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "parallelism/live_chunks.hpp"
#include "parallelism/slot_program.hpp"
#include "parallelism/step_bound.hpp"
#include "scenarios/search_engine.hpp"

namespace runcast {

// What a schedule's order says, whatever its layout.
struct ScheduleFacts {
  bool refused = false, split = false;
  int group = 1;
  std::vector<std::vector<int>> rank_of_stage;
  LiveChunks live;
};

// Shared by the threads of a search.
class ScheduleTable {
 public:
  std::shared_ptr<const ScheduleFacts> facts(const ScheduleRow&, const ScheduleRequest&);

 private:
  using Key = std::tuple<std::string_view, int, int, int, int, bool>;
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const ScheduleFacts>> known_;
};

struct MachineParts {
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Network> network;
};
std::vector<MachineParts> machine_parts(const SearchSpace&, std::uint64_t seed);

// What one thread has found.
class Collector {
 public:
  Collector(std::size_t kept, std::size_t machines, const std::optional<Candidate>& after)
      : kept_(kept), classes_(machines), after_(after) {}
  void reject(Rejection, std::int64_t count, std::int32_t cell, const std::optional<Choice>& example);
  void count(std::int64_t layouts) { outcome_.counted += layouts; }
  void offer(const Candidate&, std::size_t machine, double capacity_gib);
  void offer_miss(const Candidate&);
  void add(Collector&& other);

  SearchOutcome& outcome() { return outcome_; }
  std::vector<Candidate> best();       // sorted
  std::vector<Candidate> misses();     // sorted
  std::vector<Candidate> by_memory();  // the best few of each class of memory, sorted

 private:
  static constexpr std::size_t kClasses = 40, kOfClass = 8, kMisses = 64;
  static void keep(std::vector<Candidate>& heap, std::size_t most, const Candidate&);

  SearchOutcome outcome_;
  std::size_t kept_;
  std::vector<Candidate> misses_;
  std::vector<Candidate> heap_;  // the worst kept one in front
  std::vector<std::array<std::vector<Candidate>, kClasses>> classes_;
  std::optional<Candidate> after_;
};

// Of one thread.
class CellSearch {
 public:
  CellSearch(const SearchSpace&, const SearchSettings&, const std::vector<MachineParts>&, ScheduleTable&);

  // Counts, prunes and bounds every layout of the cell.
  void visit(std::int32_t cell, Collector&);
  Duration simulate(const Choice&);

 private:
  struct Stages {  // of one number of stages
    std::vector<std::int64_t> layers;
    StageKinds kinds;
  };
  struct Variant;  // a cell with micro-batch, schedule, expert overlap

  void enter(std::int32_t cell);
  void enter_micro_batch(std::int32_t micro_batch);
  void visit_schedule(std::size_t schedule, bool overlap_expert, Collector&);
  void visit_states(Choice&, const ScheduleFacts&, const Stages&, Collector&);
  void bound(const Choice&, const ScheduleFacts&, const Stages&, double peak, Collector&);
  void apply(const Choice&);
  bool same_as_another(const Choice&, const ScheduleFacts&) const;
  const Stages& stages_of(const ScheduleChoice&);
  const GroupTable& groups(const Sharding&, int copies);
  const LayerPrices& prices(const Choice&, bool split);
  const std::vector<StageFloor>& floors(const Choice&, const ScheduleFacts&, const Stages&);
  const std::vector<StageTraffic>& traffic(const Choice&, const ScheduleFacts&, const Stages&);
  const SlotProgram& program(const ScheduleSpec&, std::int64_t microbatches);
  StepShape shape() const { return {&scenario().model, &layout_, &training_, &scenario().software}; }
  const Scenario& scenario() const { return space_.machines()[machine_].scenario; }
  const Network& network() const { return *parts_[machine_].network; }

  const SearchSpace& space_;
  const SearchSettings& settings_;
  const std::vector<MachineParts>& parts_;
  ScheduleTable& schedules_;

  std::int32_t cell_ = -1;
  std::int32_t micro_batch_ = -1;
  std::size_t machine_ = 0;
  Layout layout_;
  TrainingSpec training_;
  ScheduleSpec spec_;
  StepInput in_;
  std::vector<ScheduleChoice> choices_;
  StepFloor floor_;  // messages and norm of the micro-batch
  // Of the cell.
  std::map<std::int64_t, Stages> stages_;
  std::map<std::pair<int, int>, GroupTable> groups_;
  struct Moved {
    std::vector<StageTraffic> traffic;
    Duration optimizer;
  };
  std::map<std::tuple<std::string_view, std::int64_t, int>, Moved> moved_;
  // Of the micro-batch.
  std::map<std::tuple<bool, int, bool>, LayerPrices> prices_;
  std::map<std::tuple<bool, int, bool, std::int64_t, int, bool>, std::vector<StageFloor>> floors_;
  // Orders of the last few schedules simulated.
  struct KnownProgram {
    const ScheduleRow* row;
    ScheduleRequest request;
    std::unique_ptr<SlotProgram> program;
  };
  std::deque<KnownProgram> programs_;
};

}  // namespace runcast
