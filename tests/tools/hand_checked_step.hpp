// A step whose times are round: 1F1B of 8 micro-batches on 4 stages, 1 ms forward, 2 ms backward, messages of 0.1 ms,
// 0.5 ms of optimizer and 0.1 ms besides; a micro-batch keeps 1 GiB in a stage, beside 10 GiB that stay.
#pragma once

#include <algorithm>

#include "parallelism/step_timeline.hpp"
#include "sim/event_queue.hpp"

namespace runcast {

class RoundWork final : public PipelineWork {
 public:
  Duration duration(int, const Slot& slot, Time) override {
    return Duration{slot.pass == Pass::forward ? 1'000'000 : 2'000'000};
  }
  Time not_before(int, const Slot&) override { return {}; }
  Duration transfer(int, int, Pass) override { return Duration{100'000}; }
  void finished(int, const Slot&, Time, Time) override {}
};

inline StepTimeline hand_checked_step(PointToPoint transfers = PointToPoint::overlapped) {
  ScheduleRequest request;
  request.ranks = 4;
  request.microbatches = 8;
  StepRecord record;
  record.schedule = find_schedule("1f1b")->build(request);
  record.layout.pipeline = 4;
  record.blocking = transfers == PointToPoint::blocking;
  RoundWork work;
  EventQueue queue;
  record.step.trace = execute(record.schedule, transfers, work, queue);
  Time last{};
  for (const auto& spans : record.step.trace.ranks) last = std::max(last, spans.back().end);
  for (const auto& spans : record.step.trace.ranks)
    record.step.ends.push_back({Time{}, spans.back().end, spans.back().end, Duration{500'000}});
  record.step.data_spans.resize(4);
  record.step.breakdown.optimizer = Duration{500'000};
  record.step.time = last - Time{} + Duration{600'000};
  for (int p = 0; p < 4; ++p) {
    StageMemory memory;
    memory.stage = p;
    memory.weights = Bytes(10 * kGiB);
    memory.activations = Bytes((4 - p) * kGiB);  // stage p holds 4 - p micro-batches at most
    record.memory.stages.push_back(memory);
    record.kept.emplace_back(kGiB);
    record.node.emplace_back(0);
  }
  return StepTimeline(std::move(record));
}

}  // namespace runcast
