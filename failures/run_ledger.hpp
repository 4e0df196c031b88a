// Where the wall time of one run goes: eleven buckets that close on the clock to the nanosecond, and, for those
// who want to see them, the stretches and events in order.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/units.hpp"

namespace runcast {

// In the order of the JSON ledger.
enum class Bucket : std::uint8_t {
  useful,      // steps that were kept, at normal speed
  recomputed,  // steps done again after a failure
  checkpoint,  // training stopped or slowed for a save
  detect,      // the job is dead or hangs, nobody knows
  diagnose,
  wait_for_spare,
  restart,          // reschedule, processes, communicators, load, warm-up; elastic stalls and rejoins
  slow,             // excess of steps slowed by a fail-slow event, and stalls
  elastic_deficit,  // excess of steps with replicas lost, or computed more than once
  planned,          // maintenance and evaluation
  sdc,              // steps done again after silent corruption or a loss spike
};
inline constexpr std::size_t kBuckets = 11;
inline constexpr std::array<std::string_view, kBuckets> kBucketNames{
    "useful",  "recomputed", "checkpoint",      "detect",  "diagnose", "wait_for_spare",
    "restart", "slow",       "elastic_deficit", "planned", "sdc"};
using Ledger = std::array<Duration, kBuckets>;

// A stretch of the run, for traces and tests: [begin, end) spent in `bucket`.
struct RunSpan {
  Time begin, end;
  Bucket bucket;
};

// What struck, and what it cost.
struct RunEvent {
  Time at;
  std::size_t failure = 0;  // class
  std::string_view effect;  // "restart", "replica lost", "masked", "slow", "stall", "planned stop", ...
  std::int64_t node = -1;   // position in the job; -1: none
  std::int64_t nodes = 0;   // how many it took
  Duration lost;            // work to be done again
  Duration down;            // until it trained again
  std::int64_t spares = -1;  // nodes that stood ready then; -1: not told
};

struct RunRecord {
  std::vector<RunSpan> spans;
  std::vector<RunEvent> events;
};

class RunLedger {
 public:
  explicit RunLedger(RunRecord* record) : record_(record) {}

  Time now() const { return now_; }
  const Ledger& ledger() const { return ledger_; }
  Duration total() const { return now_ - Time{}; }
  // A stretch that begins now; the only way that the clock moves.
  void charge(Duration d, Bucket bucket) {
    INVARIANT(d.ns >= 0);
    ledger_[static_cast<std::size_t>(bucket)] += d;
    if (record_ != nullptr && d.ns > 0) note(d, bucket);
    now_ += d;
  }
  bool recording() const { return record_ != nullptr; }
  // The place of an event whose cost becomes known later.
  std::size_t event(RunEvent e) {
    record_->events.push_back(e);
    return record_->events.size() - 1;
  }
  RunEvent& event_at(std::size_t i) { return record_->events[i]; }

 private:
  void note(Duration d, Bucket bucket) {
    std::vector<RunSpan>& spans = record_->spans;
    if (!spans.empty() && spans.back().bucket == bucket && spans.back().end == now_)
      spans.back().end = now_ + d;
    else
      spans.push_back({now_, now_ + d, bucket});
  }

  Time now_{};
  Ledger ledger_{};
  RunRecord* record_;
};

}  // namespace runcast
