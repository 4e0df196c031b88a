// The discrete-event kernel: a binary heap over (time, phase, sequence), standard library heap operations.
// Leaves out: cancelling. Who may change their mind counts generations and ignores the stale event.
#include "sim/event_queue.hpp"

#include <algorithm>
#include <utility>

namespace runcast {

void EventQueue::at(Time when, Phase phase, Action action) {
  INVARIANT(action != nullptr);
  INVARIANT(when > now_ || (when == now_ && phase >= phase_));
  if (when == kNever) return;
  std::uint32_t slot;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(actions_.size());
    actions_.push_back(std::move(action));
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    actions_[slot] = std::move(action);
  }
  heap_.push_back({when, std::uint64_t{static_cast<std::uint8_t>(phase)} << 56 | sequence_++, slot});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

void EventQueue::after(Duration delay, Phase phase, Action action) {
  INVARIANT(delay.ns >= 0);
  at(delay < kNever - now_ ? now_ + delay : kNever, phase, std::move(action));
}

// The slot is free again before the action runs: what it schedules may reuse it.
EventQueue::Action EventQueue::take_first() {
  std::pop_heap(heap_.begin(), heap_.end(), later);
  const Entry first = heap_.back();
  heap_.pop_back();
  now_ = first.time;
  phase_ = static_cast<Phase>(first.order >> 56);
  Action action = std::move(actions_[first.slot]);
  actions_[first.slot] = nullptr;
  free_slots_.push_back(first.slot);
  return action;
}

void EventQueue::run(Time until) {
  INVARIANT(!running_);
  struct Running {  // also cleared when an action throws
    bool& flag;
    explicit Running(bool& f) : flag(f) { flag = true; }
    ~Running() { flag = false; }
  } running(running_);
  while (!heap_.empty() && heap_.front().time <= until) {
    const Action action = take_first();
    ++executed_;
    action();
  }
}

void EventQueue::clear() {
  heap_.clear();
  actions_.clear();
  free_slots_.clear();
  now_ = Time{};
  phase_ = Phase::finish;
  sequence_ = 0;
}

}  // namespace runcast
