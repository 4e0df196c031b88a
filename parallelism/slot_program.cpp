// The order of a program, and its sweep.
#include "parallelism/slot_program.hpp"

#include <algorithm>
#include <utility>

#include "parallelism/step_work.hpp"

namespace runcast {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// What a slot may meet of its rank's data stream.
constexpr std::uint8_t kAlways = 1;    // the first pass of a stage, or the last backward of one
constexpr std::uint8_t kGroupEnd = 2;  // a group's last backward
constexpr std::uint8_t kGated = 4;     // any backward: ZeRO-2's may wait for a reduction

bool is_backward(Pass pass) { return pass != Pass::forward; }

}  // namespace

bool has_split_backward(const PipelineSchedule& schedule) {
  for (const Slot& slot : schedule.slots.front())
    if (slot.pass == Pass::input_gradient || slot.pass == Pass::weight_gradient) return true;
  return false;
}

SlotProgram::SlotProgram(PipelineSchedule schedule, int group)
    : schedule_(std::move(schedule)), split_(has_split_backward(schedule_)), group_(group) {
  if (schedule_.rank_of_stage.size() == 1) order();
}

std::size_t SlotProgram::bytes() const {
  std::size_t slots = 0;
  for (const std::vector<Slot>& list : schedule_.slots) slots += list.size();
  return slots * sizeof(Slot) + operations_.size() * sizeof(Operation);
}

// Slots of equal stage and pass are equally long; fused ones by both halves.
std::int32_t SlotProgram::length_of(const Slot& slot) {
  const auto add = [&] {
    lengths_.push_back(slot);
    return static_cast<std::int32_t>(lengths_.size() - 1);
  };
  if (slot.pass != Pass::forward_backward) {
    std::int32_t& known = plain_length_[index(slot.stage) * 4 + static_cast<std::size_t>(slot.pass)];
    if (known < 0) known = add();
    return known;
  }
  for (std::size_t i = 0; i < lengths_.size(); ++i)
    if (lengths_[i].pass == slot.pass && lengths_[i].stage == slot.stage &&
        lengths_[i].backward_stage == slot.backward_stage)
      return static_cast<std::int32_t>(i);
  return add();
}

SlotProgram::Operation SlotProgram::operation_of(int rank, std::size_t at,
                                                 std::vector<std::int32_t>& backwards) const {
  const Slot& slot = schedule_.slots[index(rank)][at];
  const int m = schedule_.microbatches, stages = schedule_.stages;
  const auto activation = [&](int stage, int i) { return stage * m + i; };
  const auto gradient = [&](int stage, int i) { return (stages + stage) * m + i; };
  const bool fused = slot.pass == Pass::forward_backward;
  const auto rank_of = [&](int stage) {
    return static_cast<std::uint16_t>(schedule_.rank_of_stage.front()[index(stage)]);
  };
  Operation op;
  op.rank = op.to = op.second_to = static_cast<std::uint16_t>(rank);
  op.slot = static_cast<std::int32_t>(at);
  if (slot.pass == Pass::forward || fused) {
    if (slot.stage > 0) op.input = activation(slot.stage, slot.microbatch);
    op.output = slot.stage + 1 < stages ? activation(slot.stage + 1, slot.microbatch)
                                        : gradient(slot.stage, slot.microbatch);
    if (slot.stage + 1 < stages) op.to = rank_of(slot.stage + 1);
    if (slot.microbatch == 0) op.marks |= kAlways;
  }
  const int stage = fused ? slot.backward_stage : slot.stage;
  if (slot.pass == Pass::backward || slot.pass == Pass::input_gradient || fused) {
    const int i = fused ? slot.backward_microbatch : slot.microbatch;
    (fused ? op.second_input : op.input) = gradient(stage, i);
    if (stage > 0) {
      (fused ? op.second_output : op.output) = gradient(stage - 1, i);
      (fused ? op.second_to : op.to) = rank_of(stage - 1);
    }
  }
  if (is_backward(slot.pass)) op.marks |= kGated;
  op.backwards = backwards[index(stage)];
  if (slot.pass == Pass::forward || slot.pass == Pass::input_gradient) return op;
  const std::int32_t done = ++backwards[index(stage)];
  if (done == m) op.marks |= kAlways;
  if (done % group_ == 0) op.marks |= kGroupEnd;
  return op;
}

// Rank by rank as far as its inputs are there, round and round.
void SlotProgram::order() {
  const std::size_t m = index(schedule_.microbatches), stages = index(schedule_.stages);
  plain_length_.assign(stages * 4, -1);
  std::vector<char> sent(2 * stages * m, 0);
  std::vector<std::size_t> next(schedule_.slots.size(), 0);
  std::vector<std::int32_t> backwards(stages, 0);
  std::vector<char> begun(stages, 0);
  std::size_t all = 0;
  for (const std::vector<Slot>& slots : schedule_.slots) all += slots.size();
  operations_.reserve(all);
  const auto there = [&](std::int32_t message) {
    return message < 0 || sent[static_cast<std::size_t>(message)] != 0;
  };
  for (bool moved = true; std::exchange(moved, false);)
    for (std::size_t rank = 0; rank < next.size(); ++rank)
      for (const std::vector<Slot>& slots = schedule_.slots[rank]; next[rank] < slots.size(); ++next[rank]) {
        const Slot& slot = slots[next[rank]];
        const std::size_t back =
            index(slot.pass == Pass::forward_backward ? slot.backward_stage : slot.stage);
        const std::int32_t before = backwards[back];
        Operation op = operation_of(static_cast<int>(rank), next[rank], backwards);
        if (!there(op.input) || !there(op.second_input)) {
          backwards[back] = before;
          break;
        }
        const bool first = next[rank] == 0 || begun[index(slot.stage)] == 0;
        begun[index(slot.stage)] = 1;
        if (first) op.marks |= kAlways;
        op.length = length_of(slot);
        for (const std::int32_t message : {op.output, op.second_output})
          if (message >= 0) sent[static_cast<std::size_t>(message)] = 1;
        operations_.push_back(op);
        moved = true;
      }
  INVARIANT(operations_.size() == all);  // refuse() lets only orders pass that run to their end
}

void SlotProgram::sweep(StepWork& work, bool grouped, std::vector<Time>& first,
                        std::vector<Time>& last) const {
  const std::size_t ranks = index(schedule_.ranks), m = index(schedule_.microbatches);
  std::vector<Duration> length;
  for (const Slot& slot : lengths_) length.push_back(work.cost_of(slot).total());
  std::vector<Time> arrived(2 * index(schedule_.stages) * m), link(ranks * ranks);
  std::vector<Duration> transfer(ranks * ranks);
  for (int a = 0; a < schedule_.ranks; ++a)
    for (int b = 0; b < schedule_.ranks; ++b)
      if (a != b) transfer[index(a) * ranks + index(b)] = work.transfer(a, b, Pass::forward);
  first.assign(ranks, Time{});
  last.assign(ranks, Time{});
  const std::uint8_t marked = grouped ? kAlways | kGroupEnd | kGated : kAlways;
  const auto send = [&](std::int32_t message, std::size_t from, std::size_t to, Time now) {
    Time& there = arrived[static_cast<std::size_t>(message)];
    if (to == from) {
      there = now;
      return;
    }
    Time& free = link[from * ranks + to];
    free = there = std::max(now, free) + transfer[from * ranks + to];
  };
  for (const Operation& op : operations_) {
    const std::size_t rank = op.rank;
    Time start = last[rank];
    if (op.input >= 0) start = std::max(start, arrived[static_cast<std::size_t>(op.input)]);
    if (op.second_input >= 0) start = std::max(start, arrived[static_cast<std::size_t>(op.second_input)]);
    Duration busy = length[static_cast<std::size_t>(op.length)];
    if ((op.marks & marked) != 0 || work.stream(op.rank).free > start) {
      const Slot& slot = schedule_.slots[rank][static_cast<std::size_t>(op.slot)];
      work.set_backwards(op.rank, slot.pass == Pass::forward_backward ? slot.backward_stage : slot.stage,
                         op.backwards);
      start = std::max(start, work.not_before(op.rank, slot));
      busy = work.duration(op.rank, slot, start);
    }
    if (op.slot == 0) first[rank] = start;
    const Time end = last[rank] = start + busy;
    if (op.output >= 0) send(op.output, rank, op.to, end);
    if (op.second_output >= 0) send(op.second_output, rank, op.second_to, end);
  }
}

}  // namespace runcast
