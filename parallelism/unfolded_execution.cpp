// Cells are small state machines on a ladder queue: the end of a slot is an event of the finish phase, and what may
// begin because of it begins in the start phase of that instant, as in pipeline_execution.
#include "parallelism/unfolded_execution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "parallelism/unfolded_reductions.hpp"
#include "sim/error.hpp"
#include "sim/event_queue.hpp"
#include "sim/random.hpp"

namespace runcast {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// Lognormal factors of mean 1 at the middles of equally probable classes: a draw is a look-up.
class Jitter {
 public:
  Jitter(double deviation, std::uint64_t seed) : seed_(seed) {
    if (deviation <= 0) return;
    const double sigma = std::sqrt(std::log1p(deviation * deviation));
    // Drawn, then sorted: quantiles without a second inversion. Scaled so that the mean is 1 exactly.
    RandomStream stream(0, Purpose::jitter, 0, 0);
    double sum = 0;
    for (double& factor : factors_) sum += factor = stream.lognormal(1, sigma);
    for (double& factor : factors_) factor *= static_cast<double>(kClasses) / sum;
    on_ = true;
  }
  bool on() const { return on_; }
  Duration of(Duration stretch, std::uint64_t rank, std::uint64_t slot, std::uint64_t n) const {
    const RandomStream stream(seed_, Purpose::jitter, rank, slot);
    const double u = stream.uniform_at(n);
    return to_clock(to_seconds(stretch) * factors_[static_cast<std::size_t>(u * kClasses)]);
  }

 private:
  static constexpr std::size_t kClasses = 4096;
  std::array<double, kClasses> factors_{};
  std::uint64_t seed_;
  bool on_ = false;
};

constexpr std::int64_t kMostStretches = 64;  // of a pass with jitter; more are drawn together

enum class Event : std::uint32_t { finish = 0, wake = 1, awake = 2, part = 3 };
constexpr int kEventShift = 30;

struct Cell {
  std::int32_t next = 0;  // the slot that runs or waits
  Time wake = kNever;     // start event already in the queue
  int transfers = 0;      // blocking: in progress, either end
  int sends_waiting = 0;  // blocking: out, the receiver still computes
  bool computing = false;
  bool awake = false;
};

struct Rendezvous {
  int from = 0, to = 0;  // pipeline ranks
  int column = 0;
  std::size_t row = 0;  // of its message
  bool gradient = false;
};

class Execution {
 public:
  explicit Execution(const UnfoldedPlan& plan);
  UnfoldedTrace run();

 private:
  int cell_of(int rank, int column) const { return rank * plan_.cells + column; }
  int rank_of(int cell) const { return cell / plan_.cells; }
  int column_of(int cell) const { return cell % plan_.cells; }
  std::size_t message_row(int stage, int microbatch) const {
    return index(stage) * index(s_.microbatches) + index(microbatch);
  }
  const Slot& slot_of(int cell) const {
    return s_.slots[index(rank_of(cell))][index(cells_[index(cell)].next)];
  }
  // First member of a cell in a row.
  Time* in_row(std::vector<Time>& rows, std::size_t row, int column) const {
    return &rows[row * index(plan_.members) + index(column * width_)];
  }
  std::size_t slot_row(int rank, int slot) const { return trace_.first_row[index(rank)] + index(slot); }

  void push(Time when, Phase phase, Event event, int what) {
    const std::uint64_t order = std::uint64_t{static_cast<std::uint8_t>(phase)} << 56 | sequence_++;
    queue_.push({static_cast<std::uint64_t>(when.ns), order},
                static_cast<std::uint32_t>(event) << kEventShift | static_cast<std::uint32_t>(what));
  }
  void handle(Event event, int what);

  void wake(int cell);
  void wake_all_at_this_instant();
  void try_start(int cell);
  bool inputs_known(const Slot& slot, int column) const;
  void ready_times(int cell, const Slot& slot, Time* start);
  void start(int cell);
  void run_pass(const UnfoldedPass& pass, int cell, const Time* start, Time* end);
  void run_with_jitter(const UnfoldedPass& pass, int cell, const Time* start, Time* end);
  void meet_members(const UnfoldedPass& pass, int cell, const Time* start, Time* end);
  void slow_beside_stream(int cell, const Time* start, Time* end);
  void wait_for_parameters(int cell, const Slot& slot, const Time* start, Time* end);
  void finish(int cell);
  void send(int cell, int to_rank, std::size_t row, bool gradient);
  void meet(int column);
  void part(int rendezvous);
  bool announce(int cell, int reduction);
  void schedule(UnfoldedReduction& reduction);
  void slow_running(const UnfoldedReduction& reduction);
  void end_blocking(const UnfoldedReduction& reduction);
  void check_complete() const;

  const UnfoldedPlan& plan_;
  const PipelineSchedule& s_;
  const int width_;  // members of a cell
  Jitter jitter_;
  UnfoldedTrace trace_;
  LadderQueue queue_;
  Time now_{};
  std::uint64_t sequence_ = 0;
  std::vector<Cell> cells_;
  std::vector<Time> free_;       // [pipeline rank][member]
  std::vector<Time> link_free_;  // [from * pipeline ranks + to][member]
  std::vector<char> activation_known_, gradient_known_, input_gradient_done_;  // [message row][column]
  std::vector<char> started_;                             // [pipeline rank][stage][column]
  std::vector<std::vector<int>> reduction_of_, gate_of_;  // [pipeline rank][slot]; -1: none
  std::vector<std::vector<Time>> stream_free_;            // [pipeline rank][tensor]
  std::vector<int> awake_, awake_now_;
  std::vector<std::vector<int>> waiting_;  // [column] blocking transfers, in the order of their sends
  std::vector<Rendezvous> rendezvous_;
  std::vector<int> met_;  // [column] round of its last meet()
  int round_ = 0;
  std::vector<Duration> message_wait_, gate_wait_;  // of the cell that is looked at
  std::vector<Time> gate_;
};

Execution::Execution(const UnfoldedPlan& plan)
    : plan_(plan), s_(*plan.schedule), width_(plan.members / plan.cells), jitter_(plan.jitter, plan.seed) {
  INVARIANT(plan.members == width_ * plan.cells);
  const std::size_t members = index(plan.members), ranks = index(s_.ranks), columns = index(plan.cells);
  INVARIANT(ranks * columns < (std::size_t{1} << kEventShift));
  trace_.members = plan.members;
  std::size_t rows = 0;
  for (const std::vector<Slot>& slots : s_.slots) {
    trace_.first_row.push_back(rows);
    rows += slots.size();
  }
  const std::size_t messages = index(s_.stages) * index(s_.microbatches);
  trace_.start.resize(rows * members);
  trace_.end.resize(rows * members);
  trace_.activation.resize(messages * members);
  trace_.gradient.resize(messages * members);
  for (auto* list : {&trace_.cell_wait, &trace_.message_wait, &trace_.replica_wait, &trace_.gated})
    list->resize(ranks * members);
  trace_.slots_end.resize(ranks * members);
  trace_.gradients_end.resize(ranks * members);
  cells_.resize(ranks * columns);
  free_.resize(ranks * members);
  link_free_.resize(ranks * ranks * members);
  activation_known_.resize(messages * columns);
  gradient_known_.resize(messages * columns);
  input_gradient_done_.resize(messages * columns);
  std::fill_n(activation_known_.begin(), index(s_.microbatches) * columns,
              char{1});  // stage 0 reads its samples
  started_.resize(ranks * index(s_.stages) * columns);
  stream_free_ = plan.stream_free;
  waiting_.resize(columns);
  met_.resize(columns);
  message_wait_.resize(index(width_));
  gate_wait_.resize(index(width_));
  gate_.resize(index(width_));
  ReductionSlots reductions = reductions_of(plan);
  trace_.reductions = std::move(reductions.reductions);
  reduction_of_ = std::move(reductions.of_slot);
  gate_of_ = std::move(reductions.gate_of_slot);
}

UnfoldedTrace Execution::run() {
  for (int cell = 0; cell < static_cast<int>(cells_.size()); ++cell) wake(cell);
  while (!queue_.empty()) {
    const EventKey key = queue_.first();
    now_ = Time{static_cast<std::int64_t>(key.time)};
    const std::uint32_t payload = queue_.pop();
    ++trace_.queue_events;
    handle(static_cast<Event>(payload >> kEventShift), static_cast<int>(payload & ((1U << kEventShift) - 1)));
  }
  check_complete();
  drain(plan_, stream_free_, trace_);
  return std::move(trace_);
}

void Execution::handle(Event event, int what) {
  switch (event) {
    case Event::finish:
      return finish(what);
    case Event::wake:
      return try_start(what);
    case Event::awake:
      return wake_all_at_this_instant();
    case Event::part:
      return part(what);
  }
}

// Looks at the cell once all that finishes at this instant has finished.
void Execution::wake(int cell) {
  Cell& state = cells_[index(cell)];
  if (state.awake) return;
  state.awake = true;
  if (awake_.empty()) push(now_, Phase::start, Event::awake, 0);
  awake_.push_back(cell);
}

void Execution::wake_all_at_this_instant() {
  std::swap(awake_, awake_now_);
  if (plan_.point_to_point == PointToPoint::blocking) {
    ++round_;
    for (const int cell : awake_now_)
      if (std::exchange(met_[index(column_of(cell))], round_) != round_) meet(column_of(cell));
  }
  for (const int cell : awake_now_) {
    cells_[index(cell)].awake = false;
    try_start(cell);
  }
  awake_now_.clear();
}

// ---- before a slot --------------------------------------------------------------------------------------

bool Execution::inputs_known(const Slot& slot, int column) const {
  const auto at = [&](int stage, int microbatch) {
    return message_row(stage, microbatch) * index(plan_.cells) + index(column);
  };
  switch (slot.pass) {
    case Pass::forward:
      return activation_known_[at(slot.stage, slot.microbatch)] != 0;
    case Pass::backward:
    case Pass::input_gradient:
      return gradient_known_[at(slot.stage, slot.microbatch)] != 0;
    case Pass::weight_gradient:
      return input_gradient_done_[at(slot.stage, slot.microbatch)] != 0;
    case Pass::forward_backward:
      break;
  }
  return activation_known_[at(slot.stage, slot.microbatch)] != 0 &&
         gradient_known_[at(slot.backward_stage, slot.backward_microbatch)] != 0;
}

// When each member could start: it is free, its own input is there, its data stream lets it.
void Execution::ready_times(int cell, const Slot& slot, Time* start) {
  const int rank = rank_of(cell), column = column_of(cell);
  const std::size_t first = index(rank * plan_.members + column * width_);
  const Time* free = &free_[first];
  std::copy_n(free, width_, start);
  std::fill(gate_wait_.begin(), gate_wait_.end(), Duration{});
  std::fill(gate_.begin(), gate_.end(), Time{});
  const auto meet_input = [&](const Time* arrival) {
    for (int m = 0; m < width_; ++m) start[m] = std::max(start[m], arrival[m]);
  };
  const bool fused = slot.pass == Pass::forward_backward;
  if (slot.pass == Pass::forward || fused)
    meet_input(in_row(trace_.activation, message_row(slot.stage, slot.microbatch), column));
  if (slot.pass == Pass::backward || slot.pass == Pass::input_gradient)
    meet_input(in_row(trace_.gradient, message_row(slot.stage, slot.microbatch), column));
  if (fused)
    meet_input(in_row(trace_.gradient, message_row(slot.backward_stage, slot.backward_microbatch), column));
  for (int m = 0; m < width_; ++m) message_wait_[index(m)] = start[m] - free[m];
  const auto meet_gate = [&](auto&& gate_at) {
    const std::int16_t* tensor = &plan_.tensor_of[index(column * width_)];
    for (int m = 0; m < width_; ++m) {
      const Time gate = gate_[index(m)] = gate_at(static_cast<std::size_t>(tensor[m]));
      if (gate <= start[m]) continue;
      gate_wait_[index(m)] = gate - start[m];
      start[m] = gate;
    }
  };
  if (slot.pass == Pass::forward) {
    const UnfoldedData& data = plan_.data[index(rank)][index(slot.stage)];
    const std::size_t at = (index(rank) * index(s_.stages) + index(slot.stage)) * index(plan_.cells);
    if (!data.first_bucket.empty() && (slot.microbatch == 0 || started_[at + index(column)] == 0))
      meet_gate([&](std::size_t t) { return data.first_bucket[t]; });
    std::fill(gate_wait_.begin(), gate_wait_.end(), Duration{});  // parameters are no other replica's fault
  } else if (const int gate = gate_of_[index(rank)][index(cells_[index(cell)].next)]; gate >= 0) {
    const UnfoldedReduction& reduction = trace_.reductions[index(gate)];
    if (reduction.scheduled) meet_gate([&](std::size_t t) { return reduction.groups[t].end; });
  }
}

void Execution::try_start(int cell) {
  Cell& state = cells_[index(cell)];
  if (state.computing || state.transfers > 0 || state.sends_waiting > 0) return;
  const int rank = rank_of(cell), column = column_of(cell);
  if (index(state.next) == s_.slots[index(rank)].size()) return;
  const Slot& slot = slot_of(cell);
  if (!inputs_known(slot, column)) return;  // whoever sends it wakes this cell
  const int gate = gate_of_[index(rank)][index(state.next)];
  if (gate >= 0 && plan_.copies == 1 && !trace_.reductions[index(gate)].scheduled) return;
  Time* start_row = in_row(trace_.start, slot_row(rank, state.next), column);
  ready_times(cell, slot, start_row);
  const Time earliest = *std::max_element(start_row, start_row + width_);
  if (earliest > now_) {
    if (std::exchange(state.wake, earliest) != earliest) push(earliest, Phase::start, Event::wake, cell);
    return;
  }
  const std::size_t first = index(rank * plan_.members + column * width_);
  for (int m = 0; m < width_; ++m) {
    trace_.message_wait[first + index(m)] += message_wait_[index(m)];
    trace_.replica_wait[first + index(m)] += gate_wait_[index(m)];
    if (gate_[index(m)] != start_row[m]) continue;
    const Time before =
        state.next == 0 ? Time{} : *(in_row(trace_.end, slot_row(rank, state.next - 1), column) + m);
    trace_.gated[first + index(m)] += start_row[m] - std::min(start_row[m], before);
  }
  start(cell);
}

// ---- a slot ---------------------------------------------------------------------------------------------

void Execution::start(int cell) {
  Cell& state = cells_[index(cell)];
  const int rank = rank_of(cell), column = column_of(cell);
  const Slot& slot = slot_of(cell);
  const std::size_t row = slot_row(rank, state.next);
  const Time* start_row = in_row(trace_.start, row, column);
  Time* end_row = in_row(trace_.end, row, column);
  const UnfoldedPass& pass = plan_.passes[plan_.pass_of[index(rank)][index(state.next)]];
  run_pass(pass, cell, start_row, end_row);
  slow_beside_stream(cell, start_row, end_row);
  if (slot.pass == Pass::forward) wait_for_parameters(cell, slot, start_row, end_row);
  state.computing = true;
  trace_.rank_events += width_;
  const int reduction = reduction_of_[index(rank)][index(state.next)];
  if (reduction >= 0 && announce(cell, reduction)) return;  // its end is the reduction's
  const Time end = *std::max_element(end_row, end_row + width_);
  push(end, end > now_ ? Phase::finish : Phase::start, Event::finish, cell);
}

void Execution::run_pass(const UnfoldedPass& pass, int cell, const Time* start, Time* end) {
  if (jitter_.on()) return run_with_jitter(pass, cell, start, end);
  if (width_ > 1 && pass.collectives > 0) return meet_members(pass, cell, start, end);
  const int column = column_of(cell);
  const Duration traffic = pass.traffic.empty() ? pass.nominal_traffic() : pass.traffic[index(column)];
  for (int m = 0; m < width_; ++m)
    end[m] =
        start[m] + traffic + (pass.own.empty() ? pass.nominal_own() : pass.own[index(column * width_ + m)]);
}

// `collectives` + 1 stretches of each member's own work: the first until the members meet, the last after they part.
void Execution::meet_members(const UnfoldedPass& pass, int cell, const Time* start, Time* end) {
  const int rank = rank_of(cell), column = column_of(cell);
  const Duration traffic = pass.traffic.empty() ? pass.nominal_traffic() : pass.traffic[index(column)];
  const std::int64_t stretches = pass.collectives + 1;
  const Duration* own = pass.own.empty() ? nullptr : &pass.own[index(column * width_)];
  const Duration nominal = pass.nominal_own();
  Time met{};
  Duration together{};
  for (int m = 0; m < width_; ++m) {
    const Duration whole = own == nullptr ? nominal : own[m];
    const Duration edge{whole.ns / stretches};
    met = std::max(met, start[m] + edge);
    together = std::max(together, whole - edge - edge);
  }
  Duration* wait = &trace_.cell_wait[index(rank * plan_.members + column * width_)];
  const Time parted = met + together + traffic;
  for (int m = 0; m < width_; ++m) {
    const Duration whole = own == nullptr ? nominal : own[m];
    end[m] = parted + Duration{whole.ns / stretches};
    wait[m] += end[m] - start[m] - whole - traffic;
  }
}

void Execution::run_with_jitter(const UnfoldedPass& pass, int cell, const Time* start, Time* end) {
  const int rank = rank_of(cell), column = column_of(cell);
  const auto slot = static_cast<std::uint64_t>(cells_[index(cell)].next);
  const Duration traffic = pass.traffic.empty() ? pass.nominal_traffic() : pass.traffic[index(column)];
  const bool meets = width_ > 1 && pass.collectives > 0;
  const std::int64_t stretches = std::min(pass.collectives + 1, kMostStretches);
  const std::size_t first = index(rank * plan_.members + column * width_);
  std::copy_n(start, width_, end);
  for (std::int64_t k = 0; k < stretches; ++k) {
    Time met{};
    for (int m = 0; m < width_; ++m) {
      const Duration whole = pass.own.empty() ? pass.nominal_own() : pass.own[index(column * width_ + m)];
      const Duration stretch{whole.ns * (k + 1) / stretches - whole.ns * k / stretches};
      end[m] += jitter_.of(stretch, first + index(m), slot, static_cast<std::uint64_t>(k));
      met = std::max(met, end[m]);
    }
    if (!meets || k + 1 == stretches) continue;
    for (int m = 0; m < width_; ++m) {
      trace_.cell_wait[first + index(m)] += met - end[m];
      end[m] = met;
    }
  }
  for (int m = 0; m < width_; ++m) end[m] += traffic;
}

// Compute that runs beside a collective of the data stream is slowed by its share of SMs and HBM.
void Execution::slow_beside_stream(int cell, const Time* start, Time* end) {
  const int column = column_of(cell);
  const std::vector<Time>& free = stream_free_[index(rank_of(cell))];
  const std::int16_t* tensor = &plan_.tensor_of[index(column * width_)];
  for (int m = 0; m < width_; ++m) {
    const Time until = free[static_cast<std::size_t>(tensor[m])];
    if (until > start[m]) end[m] += slowed_beside(std::min(end[m], until) - start[m], plan_.overlap_slowdown);
  }
}

// The first forward of a stage follows its parameters bucket by bucket.
void Execution::wait_for_parameters(int cell, const Slot& slot, const Time* start, Time* end) {
  const int rank = rank_of(cell), column = column_of(cell);
  char& started =
      started_[(index(rank) * index(s_.stages) + index(slot.stage)) * index(plan_.cells) + index(column)];
  if (std::exchange(started, char{1}) != 0) return;
  const UnfoldedData& data = plan_.data[index(rank)][index(slot.stage)];
  if (data.gathered.empty()) return;
  const std::int16_t* tensor = &plan_.tensor_of[index(column * width_)];
  for (int m = 0; m < width_; ++m) {
    const Duration last_bucket{(end[m] - start[m]).ns / data.buckets};
    end[m] = std::max(end[m], data.gathered[static_cast<std::size_t>(tensor[m])] + last_bucket);
  }
}

void Execution::finish(int cell) {
  Cell& state = cells_[index(cell)];
  const int rank = rank_of(cell), column = column_of(cell);
  const Slot& slot = slot_of(cell);
  const Time* end = in_row(trace_.end, slot_row(rank, state.next), column);
  const Time last = *std::max_element(end, end + width_);
  if (last > now_) return push(last, Phase::finish, Event::finish, cell);  // a reduction has slowed it
  std::copy_n(end, width_, &free_[index(rank * plan_.members + column * width_)]);
  state.computing = false;
  ++state.next;
  const auto forward_done = [&](int stage, int microbatch) {
    const std::vector<int>& rank_of_stage =
        s_.rank_of_stage[index(s_.direction_of_microbatch[index(microbatch)])];
    if (stage + 1 < s_.stages)
      return send(cell, rank_of_stage[index(stage + 1)], message_row(stage + 1, microbatch), false);
    // The loss is here: its gradient is too.
    const std::size_t row = message_row(stage, microbatch);
    std::copy_n(end, width_, in_row(trace_.gradient, row, column));
    gradient_known_[row * index(plan_.cells) + index(column)] = 1;
  };
  const auto gradient_done = [&](int stage, int microbatch) {
    input_gradient_done_[message_row(stage, microbatch) * index(plan_.cells) + index(column)] = 1;
    if (stage == 0) return;
    const std::vector<int>& rank_of_stage =
        s_.rank_of_stage[index(s_.direction_of_microbatch[index(microbatch)])];
    send(cell, rank_of_stage[index(stage - 1)], message_row(stage - 1, microbatch), true);
  };
  const bool fused = slot.pass == Pass::forward_backward;
  if (slot.pass == Pass::forward || fused) forward_done(slot.stage, slot.microbatch);
  if (slot.pass == Pass::backward || slot.pass == Pass::input_gradient)
    gradient_done(slot.stage, slot.microbatch);
  if (fused) gradient_done(slot.backward_stage, slot.backward_microbatch);
  wake(cell);
}

// ---- messages -------------------------------------------------------------------------------------------

void Execution::send(int cell, int to_rank, std::size_t row, bool gradient) {
  const int rank = rank_of(cell), column = column_of(cell);
  const std::size_t link = index(rank) * index(s_.ranks) + index(to_rank);
  const UnfoldedLink& lengths = plan_.links[link];
  const bool takes_time = rank != to_rank && (lengths.nominal > Duration{} || !lengths.of_member.empty());
  trace_.rank_events += width_;
  if (takes_time && plan_.point_to_point == PointToPoint::blocking) {
    waiting_[index(column)].push_back(static_cast<int>(rendezvous_.size()));
    rendezvous_.push_back({rank, to_rank, column, row, gradient});
    ++cells_[index(cell)].sends_waiting;
    return wake(cell_of(to_rank, column));
  }
  const Time* sent = &free_[index(rank * plan_.members + column * width_)];
  Time* arrival = in_row(gradient ? trace_.gradient : trace_.activation, row, column);
  if (!takes_time) {
    std::copy_n(sent, width_, arrival);
  } else {
    Time* free = in_row(link_free_, link, column);
    const Duration* each = lengths.of_member.empty() ? nullptr : &lengths.of_member[index(column * width_)];
    for (int m = 0; m < width_; ++m)
      arrival[m] = free[m] = std::max(sent[m], free[m]) + (each == nullptr ? lengths.nominal : each[m]);
  }
  (gradient ? gradient_known_ : activation_known_)[row * index(plan_.cells) + index(column)] = 1;
  wake(cell_of(to_rank, column));
}

// Begins each waiting blocking transfer whose receiver does not compute and whose link is free.
void Execution::meet(int column) {
  std::erase_if(waiting_[index(column)], [&](int id) {
    const Rendezvous& r = rendezvous_[index(id)];
    Cell& from = cells_[index(cell_of(r.from, column))];
    Cell& to = cells_[index(cell_of(r.to, column))];
    const std::size_t link = index(r.from) * index(s_.ranks) + index(r.to);
    Time* free = in_row(link_free_, link, column);
    if (to.computing || *std::max_element(free, free + width_) > now_) return false;
    --from.sends_waiting;
    ++from.transfers;
    ++to.transfers;
    const UnfoldedLink& lengths = plan_.links[link];
    Time* arrival = in_row(r.gradient ? trace_.gradient : trace_.activation, r.row, column);
    for (int m = 0; m < width_; ++m)
      arrival[m] = free[m] =
          now_ +
          (lengths.of_member.empty() ? lengths.nominal : lengths.of_member[index(column * width_ + m)]);
    push(*std::max_element(arrival, arrival + width_), Phase::finish, Event::part, id);
    return true;
  });
}

void Execution::part(int id) {
  const Rendezvous& r = rendezvous_[index(id)];
  const Time* arrival = in_row(r.gradient ? trace_.gradient : trace_.activation, r.row, r.column);
  (r.gradient ? gradient_known_ : activation_known_)[r.row * index(plan_.cells) + index(r.column)] = 1;
  for (const int rank : {r.from, r.to}) {
    const std::size_t first = index(rank * plan_.members + r.column * width_);
    for (int m = 0; m < width_; ++m) {
      Time& free = free_[first + index(m)];
      if (arrival[m] <= free) continue;
      trace_.message_wait[first + index(m)] += arrival[m] - free;
      free = arrival[m];
    }
    --cells_[index(cell_of(rank, r.column))].transfers;
    wake(cell_of(rank, r.column));
  }
}

// ---- reductions of gradients ----------------------------------------------------------------------------

// A cell tells when its members have each bucket; the last cell begins the reduction. True: the slot ends with the
// reduction, which runs inside it.
bool Execution::announce(int cell, int id) {
  UnfoldedReduction& reduction = trace_.reductions[index(id)];
  const int rank = rank_of(cell), column = column_of(cell);
  const std::size_t row = slot_row(rank, cells_[index(cell)].next);
  const Time* start = in_row(trace_.start, row, column);
  const Time* end = in_row(trace_.end, row, column);
  const std::int16_t* tensor = &plan_.tensor_of[index(column * width_)];
  const bool in_steps = plan_.overlap_data && plan_.copies == 1;
  for (int m = 0; m < width_; ++m) {
    UnfoldedReduction::Group& group = reduction.groups[static_cast<std::size_t>(tensor[m])];
    const auto buckets = static_cast<std::int64_t>(group.ready.size());
    const Duration each{(end[m] - start[m]).ns / buckets};
    for (std::int64_t i = 0; i < buckets; ++i) {
      const Time ready = in_steps ? start[m] + each * (i + 1) : end[m];
      Time& last = group.ready[static_cast<std::size_t>(i)];
      if (ready <= last) continue;
      last = ready;
      group.last_rank[static_cast<std::size_t>(i)] = rank;
      group.last_member[static_cast<std::size_t>(i)] = column * width_ + m;
    }
  }
  if (--reduction.waiting == 0) schedule(reduction);
  return !plan_.overlap_data;
}

void Execution::schedule(UnfoldedReduction& reduction) {
  reduction.scheduled = true;
  for (std::size_t t = 0; t < reduction.groups.size(); ++t) schedule_group(plan_, reduction, t, stream_free_);
  for (std::size_t r = 0; r < reduction.ranks.size(); ++r) {
    const int rank = reduction.ranks[r];
    const std::size_t row = slot_row(rank, reduction.slots[r]);
    for (int q = 0; q < plan_.members; ++q) {
      const UnfoldedReduction::Group& group =
          reduction.groups[static_cast<std::size_t>(plan_.tensor_of[index(q)])];
      const Time own = trace_.end[row * index(plan_.members) + index(q)];
      trace_.replica_wait[index(rank * plan_.members + q)] += std::max(Duration{}, group.ready.back() - own);
    }
    if (plan_.holds_gradients && plan_.overlap_data)
      for (int column = 0; column < plan_.cells; ++column) wake(cell_of(rank, column));
  }
  if (!plan_.overlap_data) return end_blocking(reduction);
  if (plan_.copies == 1) slow_running(reduction);
}

// Slots that run when the reduction begins are slowed by it; who has waited for the last replica may be in a later
// slot than the one that made the gradients.
void Execution::slow_running(const UnfoldedReduction& reduction) {
  const int rank = reduction.ranks.front();
  const UnfoldedData& data = plan_.data[index(rank)][index(reduction.stage)];
  for (int column = 0; column < plan_.cells; ++column) {
    const int cell = cell_of(rank, column);
    const Cell& state = cells_[index(cell)];
    if (!state.computing || state.next < reduction.slots.front()) continue;
    const std::size_t row = slot_row(rank, state.next);
    const Time* start = in_row(trace_.start, row, column);
    Time* end = in_row(trace_.end, row, column);
    for (int m = 0; m < width_; ++m) {
      const auto t = static_cast<std::size_t>(plan_.tensor_of[index(column * width_ + m)]);
      const Duration bucket{data.reduce[t].ns / data.buckets};
      Duration beside{};
      for (const Time begin : reduction.groups[t].begin)
        beside += std::max(Duration{}, std::min(begin + bucket, end[m]) - std::max(begin, start[m]));
      end[m] += slowed_beside(beside, plan_.overlap_slowdown);
    }
  }
}

// Without overlap the reduction is the end of the slot, the same for all members of a group.
void Execution::end_blocking(const UnfoldedReduction& reduction) {
  const int rank = reduction.ranks.front();
  for (int column = 0; column < plan_.cells; ++column) {
    Time* end = in_row(trace_.end, slot_row(rank, reduction.slots.front()), column);
    for (int m = 0; m < width_; ++m)
      end[m] = reduction.groups[static_cast<std::size_t>(plan_.tensor_of[index(column * width_ + m)])].end;
    const Time last = *std::max_element(end, end + width_);
    push(last, last > now_ ? Phase::finish : Phase::start, Event::finish, cell_of(rank, column));
  }
}

void Execution::check_complete() const {
  for (int cell = 0; cell < static_cast<int>(cells_.size()); ++cell) {
    const int next = cells_[index(cell)].next;
    if (index(next) == s_.slots[index(rank_of(cell))].size()) continue;
    throw InternalError(
        fmt::format("the step is stuck: cell {} of pipeline rank {} waits for ever at its slot {}",
                    column_of(cell), rank_of(cell), next));
  }
}

}  // namespace

Duration slowed_beside(Duration beside, double share) { return to_clock(to_seconds(beside) * share); }

UnfoldedTrace execute(const UnfoldedPlan& plan) { return Execution(plan).run(); }

}  // namespace runcast
