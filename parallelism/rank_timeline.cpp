// Slices of one rank from what happened there (step_timeline.hpp).
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "parallelism/step_timeline.hpp"

namespace runcast {

namespace {

using Stream = TimelineStream;

std::size_t index(int i) { return static_cast<std::size_t>(i); }

SliceKind kind_of(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return SliceKind::forward;
    case Pass::backward:
      return SliceKind::backward;
    case Pass::input_gradient:
      return SliceKind::input_gradient;
    case Pass::weight_gradient:
      return SliceKind::weight_gradient;
    case Pass::forward_backward:
      break;
  }
  return SliceKind::forward_backward;
}

std::string_view letter_of(Pass pass) {
  constexpr std::array<std::string_view, 5> kLetters = {"F", "B", "I", "W", "FB"};
  return kLetters[static_cast<std::size_t>(pass)];
}

std::string slot_name(const Slot& s) {
  if (s.pass != Pass::forward_backward)
    return fmt::format("{} mb{} st{}", letter_of(s.pass), s.microbatch, s.stage);
  return fmt::format("F mb{} st{} + B mb{} st{}", s.microbatch, s.stage, s.backward_microbatch,
                     s.backward_stage);
}

// Cuts [start, end) in proportion; the cuts are whole nanoseconds and leave nothing.
class Cuts {
 public:
  Cuts(Time start, Time end, double whole) : start_(start), length_(end - start), whole_(whole) {}
  Time at(double part) const {
    if (!(whole_ > 0)) return start_;
    const double share = std::clamp(part / whole_, 0.0, 1.0);
    return start_ + Duration{static_cast<std::int64_t>(share * static_cast<double>(length_.ns))};
  }

 private:
  Time start_;
  Duration length_;
  double whole_;
};

const PartPass& pass_of(const StagePart& part, Pass pass) {
  switch (pass) {
    case Pass::forward:
      return part.forward;
    case Pass::input_gradient:
      return part.input_gradient;
    case Pass::weight_gradient:
      return part.weight_gradient;
    default:
      return part.backward;
  }
}

void add(RankTimeline& out, Stream stream, SliceKind kind, Time start, Time end, std::string name,
         int depth = 0, int stage = -1, int microbatch = -1) {
  if (start < end)
    out.slices.push_back({stream, kind, start, end, std::move(name), stage, microbatch, depth, -1, -1});
}

}  // namespace

std::string_view name_of(TimelineStream stream) {
  constexpr std::array<std::string_view, kTimelineStreams> kNames = {
      "step",    "compute", "tensor and context", "experts", "data parallel",
      "PP send", "PP recv", "checkpoint I/O",     "idle"};
  return kNames[static_cast<std::size_t>(stream)];
}

std::string_view name_of(SliceKind kind) {
  constexpr std::array<std::string_view, 20> kNames = {
      "scope",     "forward",     "backward",   "input_gradient", "weight_gradient", "forward_backward",
      "layer",     "kernel",      "collective", "gather",         "reduce",          "send",
      "receive",   "optimizer",   "other",      "loading",        "bubble",          "transfer",
      "data_wait", "barrier_wait"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view short_name(Collective collective) {
  switch (collective) {
    case Collective::all_reduce:
      return "AR";
    case Collective::all_gather:
      return "AG";
    case Collective::reduce_scatter:
      return "RS";
    case Collective::all_to_all:
      return "A2A";
    case Collective::broadcast:
      return "BC";
    case Collective::send_receive:
      break;
  }
  return "P2P";
}

RankTimeline StepTimeline::of(RankId rank) const {
  const Times times = times_of(rank);
  const Coordinates here = at(rank);
  RankTimeline out;
  out.rank = rank;
  out.tensor = here.tensor;
  out.context = here.context;
  out.data = here.data;
  out.pipeline = here.pipeline;
  out.node = node_[index(rank.value)];
  out.begin = times.begin;
  out.end = times.begin + step_.time;
  add_scopes(out, times);
  if (level_ > TimelineLevel::step) {
    add_slots(out, times);
    add_messages(out, times);
    add_data(out, times);
    add_idle(out, times);
    add_end(out, times);
  }
  add_memory(out, times);
  std::ranges::stable_sort(out.slices, {}, [](const TimelineSlice& s) {
    return std::tuple(s.stream, s.start, -s.end.ns, s.depth);
  });
  return out;
}

// ---- slots, layers, operators ---------------------------------------------------------------------------

void StepTimeline::add_slots(RankTimeline& out, const Times& times) const {
  for (const SlotSpan& span : times.slots) {
    const Slot& s = span.slot;
    add(out, Stream::compute, kind_of(s.pass), span.start, span.end, slot_name(s), 0, s.stage, s.microbatch);
    if (level_ >= TimelineLevel::layer) add_parts(out, s, span.start, span.end);
  }
}

void StepTimeline::add_parts(RankTimeline& out, const Slot& s, Time start, Time end) const {
  if (s.pass != Pass::forward_backward) {
    add_layers(out, s.pass, s.stage, s.microbatch, start, end, 1);
    return;
  }
  double forward = 0, backward = 0;
  for (const StagePart& part : parts_[index(s.stage)]) forward += part.forward.total.value;
  for (const StagePart& part : parts_[index(s.backward_stage)]) backward += part.backward.total.value;
  const Time middle = Cuts(start, end, forward + backward).at(forward);
  const auto half = [&](Pass pass, int stage, int microbatch, Time from, Time to) {
    add(out, Stream::compute, kind_of(pass), from, to,
        fmt::format("{} mb{} st{}", letter_of(pass), microbatch, stage), 1, stage, microbatch);
    add_layers(out, pass, stage, microbatch, from, to, 2);
  };
  half(Pass::forward, s.stage, s.microbatch, start, middle);
  half(Pass::backward, s.backward_stage, s.backward_microbatch, middle, end);
}

void StepTimeline::add_layers(RankTimeline& out, Pass pass, int stage, int microbatch, Time start, Time end,
                              int depth) const {
  std::vector<const StagePart*> order;
  for (const StagePart& part : parts_[index(stage)]) order.push_back(&part);
  if (pass != Pass::forward) std::ranges::reverse(order);
  double whole = 0, done = 0;
  for (const StagePart* part : order) whole += pass_of(*part, pass).total.value;
  const Cuts cuts(start, end, whole);
  for (const StagePart* part : order) {
    const PartPass& priced = pass_of(*part, pass);
    const Time from = cuts.at(done), to = cuts.at(done += priced.total.value);
    add(out, Stream::compute, SliceKind::layer, from, to, part->name, depth, stage, microbatch);
    if (level_ == TimelineLevel::op) add_operators(out, priced, from, to, depth + 1);
  }
}

// One after the other; of a collective, what is hidden is drawn beside the compute before its exposed part.
void StepTimeline::add_operators(RankTimeline& out, const PartPass& pass, Time start, Time end,
                                 int depth) const {
  double whole = 0, done = 0;
  for (const PricedOperator& op : pass.operators)
    whole += (op.kind == OperatorKind::collective ? op.exposed : op.time).value;
  const Cuts cuts(start, end, whole);
  for (const PricedOperator& op : pass.operators) {
    if (op.kind != OperatorKind::collective) {
      const Time from = cuts.at(done), to = cuts.at(done += op.time.value);
      add(out, Stream::compute, SliceKind::kernel, from, to, std::string(op.name), depth);
      continue;
    }
    const bool expert =
        op.group == CommunicationGroup::expert || op.group == CommunicationGroup::expert_tensor;
    done += op.exposed.value;
    const Time from = cuts.at(std::max(0.0, done - op.time.value)), to = cuts.at(done);
    if (from >= to) continue;
    add(out, expert ? Stream::expert : Stream::group, SliceKind::collective, from, to,
        fmt::format("{} {} {}", short_name(op.collective), name_of(op.group), op.name));
    out.slices.back().group = op.group;
    out.slices.back().collective = op.collective;
    out.slices.back().size = op.size;
  }
}

// ---- traffic --------------------------------------------------------------------------------------------

void StepTimeline::add_messages(RankTimeline& out, const Times& times) const {
  for (const Message& m : times.messages) {
    const int sender = m.sent ? out.pipeline : m.peer;
    const std::int64_t message =
        (std::int64_t{m.forward ? 0 : 1} * schedule_.stages + m.stage) * schedule_.microbatches +
        m.microbatch;
    const RankId from = layout_.rank(out.tensor, out.context, sender, out.data);
    const RankId peer = layout_.rank(out.tensor, out.context, m.peer, out.data);
    TimelineSlice slice{m.sent ? Stream::send : Stream::receive,
                        m.sent ? SliceKind::send : SliceKind::receive,
                        m.start,
                        m.end,
                        fmt::format("{} {} mb{} st{}", m.sent ? "send" : "recv", m.forward ? "F" : "B",
                                    m.microbatch, m.stage),
                        m.stage,
                        m.microbatch,
                        0,
                        peer.value,
                        message * layout_.world() + from.value,
                        CommunicationGroup::data,
                        Collective::send_receive,
                        message_};
    out.slices.push_back(std::move(slice));
  }
}

void StepTimeline::add_data(RankTimeline& out, const Times& times) const {
  for (const DataSpan& span : times.data) {
    const bool gather = span.kind == DataSpan::Kind::gather;
    const std::string_view what = gather                              ? "AG"
                                  : span.kind == DataSpan::Kind::tied ? "AR tied embeddings"
                                  : scattered_                        ? "RS"
                                                                      : "AR";
    add(out, Stream::data, gather ? SliceKind::gather : SliceKind::reduce, span.start, span.end,
        span.kind == DataSpan::Kind::tied
            ? std::string(what)
            : fmt::format("{} dp st{} bucket {}", what, span.stage, span.bucket),
        0, span.stage);
    if (span.start >= span.end || reduce_bucket_.empty()) continue;
    const bool scatters = scattered_ && span.kind == DataSpan::Kind::reduce;
    out.slices.back().collective = gather     ? Collective::all_gather
                                   : scatters ? Collective::reduce_scatter
                                              : Collective::all_reduce;
    out.slices.back().size = (gather ? gather_bucket_ : reduce_bucket_)[index(span.stage)];
  }
}

// ---- idle time ------------------------------------------------------------------------------------------

void StepTimeline::add_idle(RankTimeline& out, const Times& times) const {
  std::vector<const Message*> messages;  // blocking: those that hold the rank; else those that it receives
  for (const Message& m : times.messages)
    if (blocking_ || !m.sent) messages.push_back(&m);
  std::ranges::stable_sort(messages, {}, [](const Message* m) { return m->start; });
  Time free = times.begin;
  for (const SlotSpan& span : times.slots) {
    const Time begin = std::exchange(free, span.end), end = span.start;
    if (begin >= end) continue;
    const bool gated = std::ranges::any_of(times.data, [&](const DataSpan& d) { return d.end == end; });
    Time now = begin;
    for (const Message* m : messages) {
      if (m->end <= now || m->start >= end || (!blocking_ && m->end != end && !gated)) continue;
      add(out, Stream::idle, SliceKind::bubble, now, m->start, "bubble");
      const Time until = std::min(m->end, end);
      add(out, Stream::idle, SliceKind::transfer, std::max(now, m->start), until,
          fmt::format("waits for {} mb{} st{} on the link", m->forward ? "F" : "B", m->microbatch, m->stage));
      now = std::max(now, until);
    }
    if (gated)
      add(out, Stream::idle, SliceKind::data_wait, now, end, "waits for the data-parallel stream");
    else
      add(out, Stream::idle, SliceKind::bubble, now, end, "bubble");
  }
}

// After the slots: gradients, norm and optimizer, and what a step has besides.
void StepTimeline::add_end(RankTimeline& out, const Times& times) const {
  const Duration loading = step_.breakdown.data_loading;
  Duration slowest{}, pace{};
  for (const RankEnd& end : step_.ends) slowest = std::max(slowest, end.optimizer);
  if (barrier_)
    pace = all_gradients_ + optimizer_ - Time{};
  else if (trace_ == nullptr)
    for (const RankEnd& end : step_.ends) pace = std::max(pace, end.window());
  else
    pace = times_of(last_).gradients + optimizer_ - times_of(last_).begin;
  const Time stepped = times.begin + pace;
  add(out, Stream::idle, SliceKind::data_wait, times.slots_end, times.gradients,
      "waits for reduced gradients");
  Time now = times.gradients;
  if (barrier_) {
    add(out, Stream::idle, SliceKind::barrier_wait, now, all_gradients_,
        "waits for the slowest rank's gradients");
    const Time norm = all_gradients_ + (optimizer_ - std::min(optimizer_, slowest));
    add(out, Stream::compute, SliceKind::optimizer, all_gradients_, norm, "gradient norm");
    now = norm;
  }
  const Time optimized = std::min(stepped, now + times.optimizer);
  add(out, Stream::compute, SliceKind::optimizer, now, optimized, "optimizer");
  add(out, Stream::idle, SliceKind::barrier_wait, optimized, stepped, "waits for the slowest rank");
  add(out, Stream::idle, SliceKind::loading, stepped, stepped + loading, "waits for samples");
  add(out, Stream::compute, SliceKind::other, stepped + loading, out.end, "fixed time and spread of ranks");
}

void StepTimeline::add_scopes(RankTimeline& out, const Times& times) const {
  add(out, Stream::scope, SliceKind::scope, out.begin, out.end, "step");
  add(out, Stream::scope, SliceKind::scope, times.begin, times.slots_end, "pipeline", 1);
  add(out, Stream::scope, SliceKind::scope, times.slots_end, times.gradients, "gradients", 1);
  add(out, Stream::scope, SliceKind::scope, times.gradients, out.end, "norm, optimizer, fixed time", 1);
}

// ---- memory ---------------------------------------------------------------------------------------------

void StepTimeline::add_memory(RankTimeline& out, const Times& times) const {
  double live = 0, most = 0;
  const auto change = [&](Time at, int stage, int microbatch, int by) {
    live += by * kept_[index(stage)].value;
    out.changes.push_back({at, stage, microbatch, by > 0, kept_[index(stage)]});
    most = std::max(most, live);
    if (!out.memory.empty() && out.memory.back().at == at)
      out.memory.back().activations = Bytes(live);
    else
      out.memory.push_back({at, Bytes(live)});
  };
  out.memory.push_back({times.begin, Bytes(0)});
  for (const SlotSpan& span : times.slots) {
    const Slot& s = span.slot;
    const bool fused = s.pass == Pass::forward_backward;
    if (fused || s.pass == Pass::forward) change(span.start, s.stage, s.microbatch, 1);
    if (fused)
      change(span.end, s.backward_stage, s.backward_microbatch, -1);
    else if (s.pass == Pass::backward || s.pass == Pass::weight_gradient)
      change(span.end, s.stage, s.microbatch, -1);
  }
  for (MemoryPoint& point : out.memory) point.activations = Bytes(std::max(0.0, point.activations.value));
  const Bytes peak = memory_.stages[index(out.pipeline)].total();
  out.other_memory = Bytes(std::max(0.0, peak.value - most));
}

}  // namespace runcast
