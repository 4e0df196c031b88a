// The discrete-event kernel: a ladder queue over (time, phase, sequence).
// Leaves out: cancelling. Who may change their mind counts generations and ignores the stale event.
#include "sim/event_queue.hpp"

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
  const std::uint64_t order = std::uint64_t{static_cast<std::uint8_t>(phase)} << 56 | sequence_++;
  waiting_.push({static_cast<std::uint64_t>(when.ns), order}, slot);
}

void EventQueue::after(Duration delay, Phase phase, Action action) {
  INVARIANT(delay.ns >= 0);
  at(delay < kNever - now_ ? now_ + delay : kNever, phase, std::move(action));
}

// The slot is free again before the action runs: what it schedules may reuse it.
EventQueue::Action EventQueue::take_first() {
  const EventKey first = waiting_.first();
  now_ = Time{static_cast<std::int64_t>(first.time)};
  phase_ = static_cast<Phase>(first.order >> 56);
  const std::uint32_t slot = waiting_.pop();
  Action action = std::move(actions_[slot]);
  actions_[slot] = nullptr;
  free_slots_.push_back(slot);
  return action;
}

void EventQueue::run(Time until) {
  INVARIANT(!running_);
  if (until < now_) return;
  const auto last = static_cast<std::uint64_t>(until.ns);
  struct Running {  // also cleared when an action throws
    bool& flag;
    explicit Running(bool& f) : flag(f) { flag = true; }
    ~Running() { flag = false; }
  } running(running_);
  while (!waiting_.empty() && waiting_.first().time <= last) {
    const Action action = take_first();
    ++executed_;
    action();
  }
}

void EventQueue::clear() {
  waiting_.clear();
  actions_.clear();
  free_slots_.clear();
  now_ = Time{};
  phase_ = Phase::finish;
  sequence_ = 0;
}

}  // namespace runcast
