// Counting, pruning and bounding, from the outermost choice to the innermost, each level's parts made once.
#include "scenarios/search_cell.hpp"

#include <algorithm>

#include "parallelism/memory.hpp"

namespace runcast {

namespace {

constexpr double kNearMiss = 1.15;                       // of the capacity
constexpr std::size_t kProgramBytes = 96 * 1024 * 1024;  // of orders that a thread keeps

template <class T>
std::size_t as_index(T i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

std::shared_ptr<const ScheduleFacts> ScheduleTable::facts(const ScheduleRow& row,
                                                          const ScheduleRequest& request) {
  const Key key{row.name,       request.ranks,      request.microbatches,
                request.chunks, request.group_size, request.fuse_pairs};
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
  }
  auto facts = std::make_shared<ScheduleFacts>();
  facts->refused = !row.refuse(request).empty();
  if (!facts->refused) {
    PipelineSchedule schedule = row.build(request);
    facts->split = has_split_backward(schedule);
    facts->group = interleaving_group_size(request);
    facts->live = live_chunks(schedule);
    facts->rank_of_stage = std::move(schedule.rank_of_stage);
  }
  const std::scoped_lock lock(mutex_);
  return known_.emplace(key, std::move(facts)).first->second;
}

std::vector<MachineParts> machine_parts(const SearchSpace& space, std::uint64_t seed) {
  std::vector<MachineParts> parts;
  for (const Machine& machine : space.machines()) {
    const Scenario& s = machine.scenario;
    MachineParts& made = parts.emplace_back();
    made.fabric = std::make_unique<Fabric>(s.node, s.nodes, s.fabric);
    made.network = std::make_unique<Network>(*made.fabric, s.place(seed), s.network);
  }
  return parts;
}

// ---- what is found ------------------------------------------------------------------------------------------

void Collector::reject(Rejection reason, std::int64_t count, std::int32_t cell,
                       const std::optional<Choice>& example) {
  RejectedLayouts& rejected = outcome_.rejected[as_index(static_cast<int>(reason))];
  rejected.count += count;
  if (!rejected.cell || cell < *rejected.cell) {
    rejected.cell = cell;
    rejected.example = example;
  }
}

void Collector::keep(std::vector<Candidate>& heap, std::size_t most, const Candidate& candidate) {
  if (heap.size() == most) {
    if (!(candidate < heap.front())) return;
    std::ranges::pop_heap(heap, std::less<>());
    heap.pop_back();
  }
  heap.push_back(candidate);
  std::ranges::push_heap(heap, std::less<>());
}

void Collector::offer(const Candidate& candidate, std::size_t machine, double capacity_gib) {
  ++outcome_.feasible;
  const double share = candidate.peak_gib / capacity_gib * static_cast<double>(kClasses);
  const std::size_t place = std::min(kClasses - 1, as_index(static_cast<std::int64_t>(share)));
  keep(classes_[machine][place], kOfClass, candidate);
  if (!after_ || *after_ < candidate) keep(heap_, kept_, candidate);
}

void Collector::offer_miss(const Candidate& candidate) { keep(misses_, kMisses, candidate); }

void Collector::add(Collector&& other) {
  SearchOutcome& to = outcome_;
  const SearchOutcome& from = other.outcome_;
  to.counted += from.counted;
  to.feasible += from.feasible;
  to.cells += from.cells;
  for (const Candidate& candidate : other.misses_) offer_miss(candidate);
  for (std::size_t i = 0; i < kRejections; ++i) {
    const RejectedLayouts& r = from.rejected[i];
    if (r.cell) reject(static_cast<Rejection>(i), r.count, *r.cell, r.example);
  }
  for (const Candidate& candidate : other.heap_) keep(heap_, kept_, candidate);
  for (std::size_t m = 0; m < classes_.size(); ++m)
    for (std::size_t c = 0; c < kClasses; ++c)
      for (const Candidate& candidate : other.classes_[m][c]) keep(classes_[m][c], kOfClass, candidate);
}

std::vector<Candidate> Collector::best() {
  std::ranges::sort(heap_, std::less<>());
  return std::move(heap_);
}

std::vector<Candidate> Collector::misses() {
  std::ranges::sort(misses_, std::less<>());
  return std::move(misses_);
}

std::vector<Candidate> Collector::by_memory() {
  std::vector<Candidate> all;
  for (auto& machine : classes_)
    for (auto& list : machine) all.insert(all.end(), list.begin(), list.end());
  std::ranges::sort(all, std::less<>());
  return all;
}

// ---- one cell -----------------------------------------------------------------------------------------------

CellSearch::CellSearch(const SearchSpace& space, const SearchSettings& settings,
                       const std::vector<MachineParts>& parts, ScheduleTable& schedules)
    : space_(space), settings_(settings), parts_(parts), schedules_(schedules) {}

void CellSearch::enter(std::int32_t cell) {
  if (cell == cell_) return;
  cell_ = cell;
  micro_batch_ = -1;
  const Cell& entered = space_.cells()[as_index(cell)];
  machine_ = as_index(entered.machine);
  layout_ = entered.layout;
  training_ = scenario().training;
  choices_ = space_.schedules(layout_.pipeline);
  stages_.clear();
  groups_.clear();
  moved_.clear();
  in_ = {&scenario().model, &layout_, &training_, &spec_, &scenario().software, &network(), 1, false};
}

void CellSearch::enter_micro_batch(std::int32_t micro_batch) {
  if (micro_batch == micro_batch_) return;
  micro_batch_ = micro_batch;
  training_.micro_batch = micro_batch;
  in_.microbatches = training_.global_batch / (static_cast<std::int64_t>(micro_batch) * layout_.data);
  prices_.clear();
  floors_.clear();
  const GroupTable& plain = groups(Sharding{}, 1);
  add_messages(floor_, in_, plain);
  floor_.norm = to_clock(norm_barrier(in_, plain));
}

const CellSearch::Stages& CellSearch::stages_of(const ScheduleChoice& choice) {
  const std::int64_t count = choice.row->name == "dualpipe"
                                 ? layout_.pipeline
                                 : static_cast<std::int64_t>(layout_.pipeline) * choice.virtual_stages;
  if (const auto known = stages_.find(count); known != stages_.end()) return known->second;
  const Model& model = scenario().model;
  Stages made{balanced_stages(model.layers, count, head_over_layer(model, training_)), {}};
  made.kinds = stage_kinds(model, made.layers);
  return stages_.emplace(count, std::move(made)).first->second;
}

const GroupTable& CellSearch::groups(const Sharding& sharding, int copies) {
  const std::pair key(sharding.group, copies);
  if (const auto known = groups_.find(key); known != groups_.end()) return known->second;
  return groups_.emplace(key, GroupTable::of(network(), layout_, sharding, copies)).first->second;
}

// Priced by the groups inside a stage, which neither sharding nor a second copy of it changes.
const LayerPrices& CellSearch::prices(const Choice& choice, bool split) {
  const std::tuple key(choice.overlap_tensor, static_cast<int>(choice.recompute), split);
  if (const auto known = prices_.find(key); known != prices_.end()) return known->second;
  return prices_.emplace(key, LayerPrices(shape(), network(), groups(Sharding{}, 1), split, false))
      .first->second;
}

const std::vector<StageFloor>& CellSearch::floors(const Choice& choice, const ScheduleFacts& facts,
                                                  const Stages& stages) {
  const bool inside = training_.sharding.shards_parameters();
  const std::tuple key(choice.overlap_tensor, static_cast<int>(choice.recompute), facts.split,
                       static_cast<std::int64_t>(stages.layers.size()), inside ? choice.sharding + 1 : 0,
                       inside && choice.overlap_data);
  if (const auto known = floors_.find(key); known != floors_.end()) return known->second;
  const int copies = static_cast<int>(facts.rank_of_stage.size());
  const LayerPrices& layers = prices(choice, facts.split);
  std::vector<StageFloor> made;
  for (const int stage : stages.kinds.example)
    made.push_back(StageFloor::of(
        layers.stage(shape(), spec_, network(), groups(training_.sharding, copies), stage), facts.split));
  return floors_.emplace(key, std::move(made)).first->second;
}

const std::vector<StageTraffic>& CellSearch::traffic(const Choice& choice, const ScheduleFacts& facts,
                                                     const Stages& stages) {
  const std::tuple key(spec_.row->name, static_cast<std::int64_t>(stages.layers.size()),
                       static_cast<int>(choice.sharding));
  auto known = moved_.find(key);
  if (known == moved_.end()) {
    const GroupTable& table = groups(training_.sharding, static_cast<int>(facts.rank_of_stage.size()));
    known = moved_
                .emplace(key, Moved{kind_traffic(in_, table, stages.kinds, facts.rank_of_stage),
                                    slowest_optimizer(in_, stages.kinds, facts.rank_of_stage)})
                .first;
  }
  floor_.optimizer = known->second.optimizer;
  return known->second.traffic;
}

// The choice's schedule and training, in place: no part of them is made anew but the stages' layers.
void CellSearch::apply(const Choice& choice) {
  const ScheduleChoice& schedule = choices_[as_index(choice.schedule)];
  const SoftwareProfile& software = scenario().software;
  training_.recompute = space_.recomputes()[as_index(choice.recompute)];
  training_.sharding = space_.shardings()[as_index(choice.sharding)];
  training_.overlap = {choice.overlap_data, choice.overlap_tensor, choice.overlap_pipeline,
                       choice.overlap_expert};
  spec_.row = schedule.row;
  spec_.virtual_stages = schedule.virtual_stages;
  spec_.group_size = schedule.group_size < 0
                         ? static_cast<int>(in_.microbatches)
                         : static_cast<int>(std::min<std::int64_t>(schedule.group_size, in_.microbatches));
  const bool hidden =
      schedule.virtual_stages > 1 ? software.overlap_p2p_interleaved : software.overlap_p2p_flat;
  spec_.point_to_point =
      hidden && choice.overlap_pipeline ? PointToPoint::overlapped : PointToPoint::blocking;
  spec_.gradient_norm = scenario().schedule.gradient_norm;
  spec_.fuse_pairs =
      choice.overlap_expert && scenario().model.is_moe() && layout_.expert > 1 && schedule.row->fuses_pairs;
  const Stages& stages = stages_of(schedule);
  if (spec_.stage_layers != stages.layers) spec_.stage_layers = stages.layers;
}

// A choice that changes nothing is counted with the first of those that give the same step.
bool CellSearch::same_as_another(const Choice& c, const ScheduleFacts& facts) const {
  const SearchAxes& axes = space_.axes();
  const auto other = [](bool value, const std::vector<std::int64_t>& list) {
    return value != (list.front() != 0);
  };
  const SoftwareProfile& software = scenario().software;
  const bool hidden = spec_.virtual_stages > 1 ? software.overlap_p2p_interleaved : software.overlap_p2p_flat;
  const bool alone = layout_.data * layout_.context * static_cast<int>(facts.rank_of_stage.size()) == 1;
  const bool no_traffic = alone && !scenario().model.is_moe();
  return (layout_.tensor == 1 && other(c.overlap_tensor, axes.overlap_tensor)) ||
         ((layout_.pipeline == 1 || !hidden) && other(c.overlap_pipeline, axes.overlap_pipeline)) ||
         (no_traffic && (c.sharding != 0 || other(c.overlap_data, axes.overlap_data)));
}

void CellSearch::visit(std::int32_t cell, Collector& out) {
  const Cell& entered = space_.cells()[as_index(cell)];
  const std::int64_t size = space_.size(entered);
  ++out.outcome().cells;
  out.count(size);
  if (const Rejection* reason = space_.refused(entered)) return out.reject(*reason, size, cell, std::nullopt);
  enter(cell);
  const std::vector<std::int64_t> micro_batches = space_.micro_batches(entered);
  if (micro_batches.empty()) return out.reject(Rejection::batch, size, cell, std::nullopt);
  if (choices_.empty()) return out.reject(Rejection::schedule, size, cell, std::nullopt);
  for (const std::int64_t micro_batch : micro_batches) {
    enter_micro_batch(static_cast<std::int32_t>(micro_batch));
    for (std::size_t schedule = 0; schedule < choices_.size(); ++schedule)
      for (const std::int64_t expert : space_.axes().overlap_expert)
        visit_schedule(schedule, expert != 0, out);
  }
}

void CellSearch::visit_schedule(std::size_t schedule, bool overlap_expert, Collector& out) {
  Choice choice;
  choice.cell = cell_;
  choice.micro_batch = micro_batch_;
  choice.schedule = static_cast<std::int16_t>(schedule);
  choice.overlap_expert = overlap_expert;
  apply(choice);
  const SearchAxes& axes = space_.axes();
  const auto inner = static_cast<std::int64_t>(space_.recomputes().size() * space_.shardings().size() *
                                               axes.overlap_data.size() * axes.overlap_tensor.size() *
                                               axes.overlap_pipeline.size());
  const bool nothing_fused = overlap_expert != (axes.overlap_expert.front() != 0) && !spec_.fuse_pairs;
  const ScheduleRequest request = spec_.request(layout_, in_.microbatches);
  // Interleaving whose group is that of another choice.
  bool same_group = false;
  for (std::size_t i = 0; i < schedule && choices_[schedule].virtual_stages > 1; ++i) {
    const ScheduleChoice &a = choices_[i], &b = choices_[schedule];
    if (a.row != b.row || a.virtual_stages != b.virtual_stages) continue;
    ScheduleRequest earlier = request;
    earlier.group_size = a.group_size < 0
                             ? static_cast<int>(in_.microbatches)
                             : static_cast<int>(std::min<std::int64_t>(a.group_size, in_.microbatches));
    same_group |= interleaving_group_size(earlier) == interleaving_group_size(request);
  }
  if (nothing_fused || same_group) return out.reject(Rejection::same, inner, cell_, choice);
  const std::shared_ptr<const ScheduleFacts> facts = schedules_.facts(*spec_.row, request);
  if (facts->refused) return out.reject(Rejection::schedule, inner, cell_, choice);
  const Stages& stages = stages_of(choices_[schedule]);
  for (std::size_t r = 0; r < space_.recomputes().size(); ++r)
    for (std::size_t s = 0; s < space_.shardings().size(); ++s) {
      choice.recompute = static_cast<std::int8_t>(r);
      choice.sharding = static_cast<std::int8_t>(s);
      visit_states(choice, *facts, stages, out);
    }
}

void CellSearch::visit_states(Choice& choice, const ScheduleFacts& facts, const Stages& stages,
                              Collector& out) {
  apply(choice);
  const SearchAxes& axes = space_.axes();
  std::vector<Choice> different;
  std::int64_t same = 0;
  for (const std::int64_t data : axes.overlap_data)
    for (const std::int64_t tensor : axes.overlap_tensor)
      for (const std::int64_t pipeline : axes.overlap_pipeline) {
        choice.overlap_data = data != 0;
        choice.overlap_tensor = tensor != 0;
        choice.overlap_pipeline = pipeline != 0;
        if (same_as_another(choice, facts))
          ++same;
        else
          different.push_back(choice);
      }
  if (same > 0) out.reject(Rejection::same, same, cell_, choice);
  if (different.empty()) return;
  Bytes peak(0);
  for (const StageMemory& memory :
       stage_memories(scenario().model, layout_, training_, spec_, scenario().software, facts.live))
    peak = std::max(peak, memory.total());
  const Bytes capacity = scenario().node.gpu.capacity;
  if (peak > capacity) {
    out.reject(Rejection::memory, static_cast<std::int64_t>(different.size()), cell_, different.front());
    if (peak > capacity * kNearMiss) return;
  }
  for (const Choice& one : different) bound(one, facts, stages, in_gib(peak), out);
}

void CellSearch::bound(const Choice& choice, const ScheduleFacts& facts, const Stages& stages,
                       double peak_gib, Collector& out) {
  apply(choice);
  floor_.kinds = &stages.kinds;
  floor_.rank_of_stage = &facts.rank_of_stage;
  floor_.stages = floors(choice, facts, stages);
  floor_.traffic = traffic(choice, facts, stages);
  const double seconds = to_seconds(least_step_time(in_, floor_)).value;
  const Candidate candidate{seconds * settings_.factor[machine_], choice, peak_gib};
  const double capacity = in_gib(scenario().node.gpu.capacity);
  if (peak_gib > capacity)
    out.offer_miss(candidate);
  else
    out.offer(candidate, machine_, capacity);
}

// ---- one layout ---------------------------------------------------------------------------------------------

const SlotProgram& CellSearch::program(const ScheduleSpec& spec, std::int64_t microbatches) {
  const ScheduleRequest request = spec.request(layout_, microbatches);
  const auto same = [&](const KnownProgram& known) {
    const ScheduleRequest& r = known.request;
    return known.row == spec.row && r.ranks == request.ranks && r.microbatches == request.microbatches &&
           r.chunks == request.chunks && r.group_size == request.group_size &&
           r.fuse_pairs == request.fuse_pairs;
  };
  if (const auto found = std::ranges::find_if(programs_, same); found != programs_.end()) {
    std::rotate(programs_.begin(), found, found + 1);
    return *programs_.front().program;
  }
  programs_.push_front(
      {spec.row, request,
       std::make_unique<SlotProgram>(spec.row->build(request), interleaving_group_size(request))});
  std::size_t bytes = 0, keep = 0;
  while (keep < programs_.size() && (bytes += programs_[keep].program->bytes()) <= kProgramBytes) ++keep;
  programs_.resize(std::max<std::size_t>(1, keep));
  return *programs_.front().program;
}

Duration CellSearch::simulate(const Choice& choice) {
  enter(choice.cell);
  enter_micro_batch(choice.micro_batch);
  apply(choice);
  const SlotProgram& order = program(spec_, in_.microbatches);
  const Stages& stages = stages_of(choices_[as_index(choice.schedule)]);
  const GroupTable& table = groups(training_.sharding, stage_copies(order.schedule()));
  const LayerPrices& layers = prices(choice, order.split_backward());
  std::vector<StageCost> of_kind, costs;
  for (const int stage : stages.kinds.example)
    of_kind.push_back(layers.stage(shape(), spec_, network(), table, stage));
  for (const int kind : stages.kinds.of_stage) costs.push_back(of_kind[as_index(kind)]);
  return step_time(in_, order, table, costs);
}

}  // namespace runcast
