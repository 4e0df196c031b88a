// The discrete-event kernel: callbacks ordered by (time, phase, sequence).
// Equal times run by phase, then in the order in which they were scheduled: no order ever comes from a hash,
// an address or an epsilon.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "sim/ladder_queue.hpp"
#include "sim/units.hpp"

namespace runcast {

// Why events of one instant have an order.
enum class Phase : std::uint8_t {
  finish,   // work that ends at this instant did end: it is counted before anything breaks
  failure,  // then what breaks, breaks
  recover,  // then repairs and spares come back
  start,    // then new work starts on what is whole
  observe,  // observers see settled state
};

// A ladder queue of small keys (the fastest of five on our delays: tools/benchmark); the actions lie in slots
// beside it, so that sorting never moves a callback.
class EventQueue {
 public:
  using Action = std::function<void()>;

  Time now() const { return now_; }
  // INVARIANT: `when` is not before now(), nor (phase) before an already run phase of this instant; `action`
  // is callable. An event at kNever never happens: it is not queued.
  void at(Time when, Phase phase, Action action);
  // INVARIANT: `delay` is not negative. A delay past the end of the clock is kNever.
  void after(Duration delay, Phase phase, Action action);
  // Runs until no event is left, or until the next one is later than `until` (it stays). now() is then the
  // time of the last event that ran, not `until`. Actions may schedule, and may call clear(), but not run().
  void run(Time until = kNever);
  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }
  std::uint64_t executed() const { return executed_; }  // since construction, also across clear()
  void clear();                                         // drops all events and resets the clock to 0

 private:
  Action take_first();

  // Keys: time, then the phase in the top 8 bits and the sequence number (2^56 events). Payloads: slots.
  LadderQueue waiting_;
  std::vector<Action> actions_;
  std::vector<std::uint32_t> free_slots_;
  Time now_{};
  Phase phase_ = Phase::finish;
  std::uint64_t sequence_ = 0, executed_ = 0;
  bool running_ = false;
};

}  // namespace runcast
