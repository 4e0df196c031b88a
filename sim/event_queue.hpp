// The discrete-event kernel: callbacks ordered by (time, phase, sequence).
// Equal times run by phase, then in the order in which they were scheduled: no order ever comes from a hash, an
// address or an epsilon.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/units.hpp"

namespace runcast {

// Why events of one instant have an order.
enum class Phase : std::uint8_t {
  finish,    // work that ends at this instant did end: it is counted before anything breaks
  failure,   // then what breaks, breaks
  recover,   // then repairs and spares come back
  start,     // then new work starts on what is whole
  observe,   // observers see settled state
};

class EventQueue {
 public:
  using Action = std::function<void()>;

  Time now() const { return now_; }
  // INVARIANT: `when` is not before now(), nor before an already run phase of this instant.
  void at(Time when, Phase phase, Action action);
  void after(Duration delay, Phase phase, Action action) { at(now_ + delay, phase, std::move(action)); }
  // Runs until no event is left, or until the next one is later than `until` (it stays).
  void run(Time until = kNever);
  bool empty() const { return heap_.empty(); }
  std::uint64_t executed() const { return executed_; }
  void clear();   // drops all events and resets the clock to 0

 private:
  struct Entry {
    Time time;
    Phase phase;
    std::uint64_t sequence;
    Action action;
  };
  static bool later(const Entry& a, const Entry& b);
  std::vector<Entry> heap_;
  Time now_{};
  Phase phase_ = Phase::finish;
  std::uint64_t sequence_ = 0, executed_ = 0;
};

}  // namespace runcast
