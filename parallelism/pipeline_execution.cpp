// The execution of a pipeline schedule: each rank is a small state machine that runs its slots in order; ends
// of slots are events of Phase::finish, and what may begin because of them begins in Phase::start of that
// instant. Leaves out: transfers that share a link with other traffic (PipelineWork::transfer may know),
// failures.
#include "parallelism/pipeline_execution.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace runcast {
namespace {

// The input of a slot: when it left the rank that made it, and when it is there. kNever: not yet known.
struct Message {
  Time sent = kNever;
  Time arrived = kNever;
};

struct RankState {
  std::size_t next = 0;   // the slot that runs or waits
  Time free;              // end of its last slot
  Time start;             // of the slot that runs
  Time wake = kNever;     // start event already in the queue for the next slot
  Time held_since;        // blocking transfers: since when at least one holds the rank
  int transfers = 0;      // blocking transfers in progress, either end
  int sends_waiting = 0;  // blocking transfers out whose receiver still computes
  bool computing = false;
  bool awake = false;  // is in awake_
};

// A blocking transfer that both ends must be free for.
struct Rendezvous {
  TransferSpan span;
  Duration length;
  Message* message;
};

// A total order: a link never begins two transfers at once.
bool before(const TransferSpan& a, const TransferSpan& b) {
  if (a.start != b.start) return a.start < b.start;
  return a.from_rank != b.from_rank ? a.from_rank < b.from_rank : a.to_rank < b.to_rank;
}

class Execution {
 public:
  Execution(const PipelineSchedule& schedule, PointToPoint mode, PipelineWork& work, EventQueue& queue);
  PipelineTrace run();

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  std::size_t cell(int stage, int microbatch) const {
    return index(stage) * index(schedule_.microbatches) + index(microbatch);
  }
  int rank_of(int stage, int microbatch) const {
    return schedule_.rank_of_stage[index(schedule_.direction_of_microbatch[index(microbatch)])][index(stage)];
  }
  Time& link_free(int from, int to) { return link_free_[index(from) * index(schedule_.ranks) + index(to)]; }

  void check_slots() const;
  void wake(int rank);
  void wake_all_at_this_instant();
  void try_start(int rank);
  void start(int rank, const Slot& slot);
  void finish(int rank);
  void forward_done(int rank, int stage, int microbatch);
  void gradient_done(int rank, Pass pass, int stage, int microbatch);
  void send(Message& message, const TransferSpan& span);
  void meet();
  void part(const Rendezvous& rendezvous);
  std::pair<Message, Message> inputs(const Slot& slot) const;
  std::string name_of_next(int rank) const;
  int waits_for(int rank) const;
  void check_complete() const;

  const PipelineSchedule& schedule_;
  const PointToPoint mode_;
  PipelineWork& work_;
  EventQueue& queue_;
  PipelineTrace trace_;
  std::vector<RankState> ranks_;
  std::vector<Message> activation_, gradient_;  // [stage][microbatch]: the input of a forward, of a backward
  std::vector<char> input_gradient_done_;       // [stage][microbatch]: a weight gradient may run
  std::vector<Time> link_free_;                 // [from][to]
  std::vector<Rendezvous> waiting_;             // blocking transfers, in the order of their sends
  std::vector<int> awake_, awake_now_;          // ranks to look at in Phase::start of this instant
};

Execution::Execution(const PipelineSchedule& schedule, PointToPoint mode, PipelineWork& work,
                     EventQueue& queue)
    : schedule_(schedule), mode_(mode), work_(work), queue_(queue) {
  check_slots();
  const std::size_t ranks = index(schedule.ranks);
  const std::size_t cells = index(schedule.stages) * index(schedule.microbatches);
  ranks_.resize(ranks);
  activation_.resize(cells);
  gradient_.resize(cells);
  input_gradient_done_.resize(cells);
  link_free_.resize(ranks * ranks);
  for (int i = 0; i < schedule.microbatches; ++i) activation_[cell(0, i)] = {Time{}, Time{}};
  trace_.ranks.resize(ranks);
  for (std::size_t rank = 0; rank < ranks; ++rank) trace_.ranks[rank].reserve(schedule.slots[rank].size());
  trace_.busy.resize(ranks);
  trace_.idle_inside.resize(ranks);
  trace_.transfer_wait.resize(ranks);
}

// Every slot is of a stage that its rank has, so that no index below is out of range.
void Execution::check_slots() const {
  const auto belongs = [&](int rank, int stage, int microbatch) {
    return stage >= 0 && stage < schedule_.stages && microbatch >= 0 && microbatch < schedule_.microbatches &&
           rank_of(stage, microbatch) == rank;
  };
  INVARIANT(schedule_.slots.size() == index(schedule_.ranks));
  for (int rank = 0; rank < schedule_.ranks; ++rank) {
    for (const Slot& slot : schedule_.slots[index(rank)]) {
      INVARIANT(belongs(rank, slot.stage, slot.microbatch));
      INVARIANT(slot.pass != Pass::forward_backward ||
                belongs(rank, slot.backward_stage, slot.backward_microbatch));
    }
  }
}

PipelineTrace Execution::run() {
  INVARIANT(queue_.now() == Time{});
  for (int rank = 0; rank < schedule_.ranks; ++rank) wake(rank);
  queue_.run();
  check_complete();
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    const std::vector<SlotSpan>& spans = trace_.ranks[rank];
    if (spans.empty()) continue;
    trace_.makespan = std::max(trace_.makespan, spans.back().end - Time{});
    trace_.idle_inside[rank] = spans.back().end - spans.front().start - trace_.busy[rank];
  }
  std::ranges::sort(trace_.transfers, before);
  return std::move(trace_);
}

// Looks at the rank once all that finishes at this instant has finished.
void Execution::wake(int rank) {
  RankState& state = ranks_[index(rank)];
  if (state.awake) return;
  state.awake = true;
  if (awake_.empty()) queue_.at(queue_.now(), Phase::start, [this] { wake_all_at_this_instant(); });
  awake_.push_back(rank);
}

void Execution::wake_all_at_this_instant() {
  std::swap(awake_, awake_now_);
  if (!waiting_.empty()) meet();
  for (const int rank : awake_now_) {
    ranks_[index(rank)].awake = false;
    try_start(rank);
  }
  awake_now_.clear();
}

std::pair<Message, Message> Execution::inputs(const Slot& slot) const {
  constexpr Message kNothing{Time{}, Time{}};
  switch (slot.pass) {
    case Pass::forward:
      return {activation_[cell(slot.stage, slot.microbatch)], kNothing};
    case Pass::backward:
    case Pass::input_gradient:
      return {gradient_[cell(slot.stage, slot.microbatch)], kNothing};
    case Pass::weight_gradient:
      return {input_gradient_done_[cell(slot.stage, slot.microbatch)] != 0 ? kNothing : Message{}, kNothing};
    case Pass::forward_backward:
      break;
  }
  return {activation_[cell(slot.stage, slot.microbatch)],
          gradient_[cell(slot.backward_stage, slot.backward_microbatch)]};
}

void Execution::try_start(int rank) {
  RankState& state = ranks_[index(rank)];
  if (state.computing || state.transfers > 0 || state.sends_waiting > 0) return;
  const std::vector<Slot>& slots = schedule_.slots[index(rank)];
  if (state.next == slots.size()) return;
  const Slot& slot = slots[state.next];
  const auto [first, second] = inputs(slot);
  const Time arrived = std::max(first.arrived, second.arrived);
  if (arrived == kNever) return;  // whoever sends it wakes this rank
  const Time earliest = std::max(arrived, work_.not_before(rank, slot));
  if (earliest <= queue_.now()) return start(rank, slot);
  if (state.wake == earliest) return;
  state.wake = earliest;
  queue_.at(earliest, Phase::start, [this, rank] { try_start(rank); });
}

void Execution::start(int rank, const Slot& slot) {
  RankState& state = ranks_[index(rank)];
  const Time now = queue_.now();
  if (mode_ != PointToPoint::blocking) {  // the part of [free, now] with an awaited input on its way
    const auto [first, second] = inputs(slot);
    const auto overlap = [](Time begin, Time end) { return std::max(end - begin, Duration{}); };
    const auto [a, b] = std::pair(std::max(first.sent, state.free), first.arrived);
    const auto [c, d] = std::pair(std::max(second.sent, state.free), second.arrived);
    const Duration both = a < b && c < d ? overlap(std::max(a, c), std::min(b, d)) : Duration{};
    trace_.transfer_wait[index(rank)] += overlap(a, b) + overlap(c, d) - both;
  }
  const Duration length = work_.duration(rank, slot, now);
  INVARIANT(length >= Duration{});
  state.computing = true;
  state.start = now;
  // The finish phase of this instant is over: a slot of no length ends in its start phase.
  queue_.after(length, length > Duration{} ? Phase::finish : Phase::start, [this, rank] { finish(rank); });
}

void Execution::finish(int rank) {
  RankState& state = ranks_[index(rank)];
  const Slot& slot = schedule_.slots[index(rank)][state.next];
  const Time now = queue_.now();
  trace_.ranks[index(rank)].push_back({slot, state.start, now});
  trace_.busy[index(rank)] += now - state.start;
  state.computing = false;
  state.free = now;
  ++state.next;
  work_.finished(rank, slot, state.start, now);
  if (slot.pass == Pass::forward || slot.pass == Pass::forward_backward) {
    forward_done(rank, slot.stage, slot.microbatch);
  }
  if (slot.pass == Pass::backward || slot.pass == Pass::input_gradient) {
    gradient_done(rank, slot.pass, slot.stage, slot.microbatch);
  }
  if (slot.pass == Pass::forward_backward) {
    gradient_done(rank, Pass::backward, slot.backward_stage, slot.backward_microbatch);
  }
  wake(rank);
}

void Execution::forward_done(int rank, int stage, int microbatch) {
  if (stage + 1 == schedule_.stages) {  // the loss is here: its gradient is too
    gradient_[cell(stage, microbatch)] = {queue_.now(), queue_.now()};
    return;
  }
  send(activation_[cell(stage + 1, microbatch)],
       {rank, rank_of(stage + 1, microbatch), Pass::forward, stage, microbatch, {}, {}});
}

void Execution::gradient_done(int rank, Pass pass, int stage, int microbatch) {
  input_gradient_done_[cell(stage, microbatch)] = 1;
  if (stage == 0) return;
  send(gradient_[cell(stage - 1, microbatch)],
       {rank, rank_of(stage - 1, microbatch), pass, stage, microbatch, {}, {}});
}

void Execution::send(Message& message, const TransferSpan& span) {
  const Time now = queue_.now();
  const Duration length =
      span.from_rank == span.to_rank ? Duration{} : work_.transfer(span.from_rank, span.to_rank, span.pass);
  INVARIANT(length >= Duration{});
  message.sent = now;
  if (length == Duration{}) {
    message.arrived = now;
  } else if (mode_ == PointToPoint::blocking) {
    waiting_.push_back({span, length, &message});
    ++ranks_[index(span.from_rank)].sends_waiting;
  } else {
    Time& free = link_free(span.from_rank, span.to_rank);
    const Time start = std::max(now, free);
    free = message.arrived = start + length;
    trace_.transfers.push_back(span);
    trace_.transfers.back().start = start;
    trace_.transfers.back().end = message.arrived;
  }
  wake(span.to_rank);
}

// Begins each waiting blocking transfer whose receiver does not compute and whose link is free. The sender
// does not compute: it waits. A rank may be in several transfers at once (batched send and receive).
void Execution::meet() {
  const Time now = queue_.now();
  std::erase_if(waiting_, [&](Rendezvous& r) {
    RankState& from = ranks_[index(r.span.from_rank)];
    RankState& to = ranks_[index(r.span.to_rank)];
    Time& free = link_free(r.span.from_rank, r.span.to_rank);
    if (to.computing || free > now) return false;
    --from.sends_waiting;
    for (RankState* end : {&from, &to}) {
      if (end->transfers++ == 0) end->held_since = now;
    }
    r.span.start = now;
    r.span.end = free = now + r.length;
    trace_.transfers.push_back(r.span);
    queue_.at(r.span.end, Phase::finish, [this, r] { part(r); });
    return true;
  });
}

void Execution::part(const Rendezvous& rendezvous) {
  rendezvous.message->arrived = queue_.now();
  for (const int rank : {rendezvous.span.from_rank, rendezvous.span.to_rank}) {
    RankState& state = ranks_[index(rank)];
    if (--state.transfers == 0) trace_.transfer_wait[index(rank)] += queue_.now() - state.held_since;
    wake(rank);
  }
}

// The slot as a reader finds it in the order.
std::string Execution::name_of_next(int rank) const {
  constexpr std::string_view kNames[] = {"forward", "backward", "input gradient", "weight gradient",
                                         "forward and backward"};
  const std::size_t next = ranks_[index(rank)].next;
  const Slot& slot = schedule_.slots[index(rank)][next];
  return fmt::format("rank {} at its slot {}, the {} of stage {}, micro-batch {}", rank, next,
                     kNames[static_cast<std::size_t>(slot.pass)], slot.stage, slot.microbatch);
}

// The rank that has to make what the next slot of `rank` lacks: itself, where its own order is wrong.
int Execution::waits_for(int rank) const {
  const Slot& slot = schedule_.slots[index(rank)][ranks_[index(rank)].next];
  const bool fused = slot.pass == Pass::forward_backward;
  if ((slot.pass == Pass::forward || fused) &&
      activation_[cell(slot.stage, slot.microbatch)].arrived == kNever)
    return slot.stage == 0 ? rank : rank_of(slot.stage - 1, slot.microbatch);
  if (slot.pass == Pass::forward || slot.pass == Pass::weight_gradient) return rank;
  const int stage = fused ? slot.backward_stage : slot.stage;
  return stage + 1 == schedule_.stages
             ? rank
             : rank_of(stage + 1, fused ? slot.backward_microbatch : slot.microbatch);
}

void Execution::check_complete() const {
  const auto stuck = [&](int rank) { return ranks_[index(rank)].next < schedule_.slots[index(rank)].size(); };
  int rank = 0;
  while (rank < schedule_.ranks && !stuck(rank)) ++rank;
  if (rank == schedule_.ranks) return;
  // Follows who waits for whom until a rank comes again: from there on it is the cycle.
  std::vector<int> chain{rank};
  while (true) {
    const int next = waits_for(chain.back());
    const auto again = std::ranges::find(chain, next);
    if (again != chain.end() || !stuck(next)) {
      if (again != chain.end()) chain.erase(chain.begin(), again);
      chain.push_back(next);
      break;
    }
    chain.push_back(next);
  }
  std::string cycle;
  for (std::size_t i = 0; i + 1 < chain.size(); ++i)
    cycle += fmt::format("; {} waits for rank {}", name_of_next(chain[i]), chain[i + 1]);
  throw InternalError(fmt::format("the pipeline is stuck: {}, waits for ever{}", name_of_next(rank), cycle));
}

}  // namespace

PipelineTrace execute(const PipelineSchedule& schedule, PointToPoint mode, PipelineWork& work,
                      EventQueue& queue) {
  return Execution(schedule, mode, work, queue).run();
}

}  // namespace runcast
