// The walk backwards through slots, messages and reductions.
#include "parallelism/critical_path.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "sim/error.hpp"

namespace runcast {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// Where a message comes from.
struct Sender {
  int rank = -1, slot = -1;
};

class Walk {
 public:
  Walk(const UnfoldedPlan& plan, const UnfoldedTrace& trace);
  CriticalPath from(int rank, int member);

 private:
  // Where the walk stands: `member` of `rank` at `now`, at the end of `slot` or inside it; -1: at the beginning.
  struct Place {
    int rank, member, slot;
  };

  Time end_of(int rank, int slot, int member) const {
    return slot < 0 ? Time{} : trace_.end[trace_.at(rank, index(slot), member)];
  }
  Time start_of(int rank, int slot, int member) const {
    return trace_.start[trace_.at(rank, index(slot), member)];
  }
  std::size_t row(int stage, int microbatch) const {
    return index(stage) * index(s_.microbatches) + index(microbatch);
  }
  const UnfoldedPass& pass_of(int rank, int slot) const {
    return plan_.passes[plan_.pass_of[index(rank)][index(slot)]];
  }
  Duration own_of(const UnfoldedPass& pass, int member) const {
    return pass.own.empty() ? pass.nominal_own() : pass.own[index(member)];
  }

  void add(PathCause cause, const Place& at, Duration length);
  void visit(const Place& at, PathVisit::Over over);
  Place into_last_slot(int rank, int member);
  Place through_slot(Place at);
  Time gathered_at(const Place& at) const;
  bool follows_parameters(const Place& at, Duration work) const;
  void split_pass(const UnfoldedPass& pass, Place at, Duration own, Duration traffic, Duration whole);
  Place before_slot(Place at);
  bool through_message(Place& at, std::size_t message, bool gradient);
  bool through_held(Place& at);
  bool through_transfer(Place& at, std::size_t message, bool gradient, const Place& receiver);
  Place through_reduction(Place at, const UnfoldedReduction& reduction);
  const UnfoldedReduction* reduction_that_ends(int rank, std::size_t tensor, Time end) const;
  int slot_that_ends(int rank, int member, Time end) const;

  const UnfoldedPlan& plan_;
  const UnfoldedTrace& trace_;
  const PipelineSchedule& s_;
  std::vector<Sender> activation_from_, gradient_from_;  // [message row]
  Time now_{};
  CriticalPath path_;
};

Walk::Walk(const UnfoldedPlan& plan, const UnfoldedTrace& trace)
    : plan_(plan), trace_(trace), s_(*plan.schedule) {
  const std::size_t messages = index(s_.stages) * index(s_.microbatches);
  activation_from_.resize(messages);
  gradient_from_.resize(messages);
  for (int rank = 0; rank < s_.ranks; ++rank) {
    const std::vector<Slot>& slots = s_.slots[index(rank)];
    for (int i = 0; i < static_cast<int>(slots.size()); ++i) {
      const Slot& slot = slots[index(i)];
      const bool fused = slot.pass == Pass::forward_backward;
      if ((slot.pass == Pass::forward || fused) && slot.stage + 1 < s_.stages)
        activation_from_[row(slot.stage + 1, slot.microbatch)] = {rank, i};
      if (slot.pass == Pass::forward && slot.stage + 1 == s_.stages)
        gradient_from_[row(slot.stage, slot.microbatch)] = {rank, i};
      if ((slot.pass == Pass::backward || slot.pass == Pass::input_gradient) && slot.stage > 0)
        gradient_from_[row(slot.stage - 1, slot.microbatch)] = {rank, i};
      if (fused && slot.backward_stage > 0)
        gradient_from_[row(slot.backward_stage - 1, slot.backward_microbatch)] = {rank, i};
    }
  }
}

// Segments are found from the end.
void Walk::add(PathCause cause, const Place& at, Duration length) {
  INVARIANT(length >= Duration{});
  if (length == Duration{}) return;
  path_.segments.push_back({cause, at.rank, at.member, now_ - length, now_});
  now_ = now_ - length;
  if (cause == PathCause::slowdown && !path_.visits.empty()) path_.visits.back().slowdown += length;
}

// The walk comes (backwards) to another rank: its stay ends now, and the stay found before it began over `over`.
void Walk::visit(const Place& at, PathVisit::Over over) {
  if (!path_.visits.empty()) {
    PathVisit& later = path_.visits.back();
    if (later.rank == at.rank && later.member == at.member) return;
    later.from = now_;
    later.over = over;
  }
  path_.visits.push_back({at.rank, at.member, PathVisit::Over::start, Time{}, now_, {}});
}

CriticalPath Walk::from(int rank, int member) {
  now_ = trace_.gradients_end[index(rank * plan_.members + member)];
  const Time whole = now_;
  Place at = into_last_slot(rank, member);
  while (at.slot >= 0) {
    at = through_slot(at);
    if (at.slot >= 0) at = before_slot(at);
  }
  add(PathCause::data, at, now_ - Time{});  // parameters are gathered before the first slot
  Time last{};
  std::ranges::reverse(path_.segments);
  std::ranges::reverse(path_.visits);
  for (const PathSegment& segment : path_.segments) {
    INVARIANT(segment.from == last);
    last = segment.to;
  }
  INVARIANT(last == whole);
  return std::move(path_);
}

// ---- the end --------------------------------------------------------------------------------------------

Walk::Place Walk::into_last_slot(int rank, int member) {
  Place at{rank, member, static_cast<int>(s_.slots[index(rank)].size()) - 1};
  visit(at, PathVisit::Over::start);
  const auto ends = [&](int r) { return trace_.slots_end[index(r * plan_.members + member)]; };
  if (plan_.tied > Duration{} && (rank == plan_.tied_first || rank == plan_.tied_last)) {
    add(PathCause::data, at, plan_.tied);
    const int other = rank == plan_.tied_first ? plan_.tied_last : plan_.tied_first;
    if (trace_.drained[index(rank * plan_.members + member)] < now_) {
      at = {other, member, static_cast<int>(s_.slots[index(other)].size()) - 1};
      visit(at, PathVisit::Over::reduction);
    }
  }
  if (ends(at.rank) == now_) return at;
  const auto tensor = static_cast<std::size_t>(plan_.tensor_of[index(at.member)]);
  if (const UnfoldedReduction* reduction = reduction_that_ends(at.rank, tensor, now_))
    return through_reduction(at, *reduction);
  // Without overlap: the last replica of the group, then all reductions one after the other.
  int last = at.member;
  for (int q = 0; q < plan_.members; ++q)
    if (plan_.tensor_of[index(q)] == plan_.tensor_of[index(at.member)] &&
        trace_.slots_end[index(at.rank * plan_.members + q)] >
            trace_.slots_end[index(at.rank * plan_.members + last)])
      last = q;
  add(PathCause::data, at, now_ - trace_.slots_end[index(at.rank * plan_.members + last)]);
  at.member = last;
  visit(at, PathVisit::Over::reduction);
  return at;
}

const UnfoldedReduction* Walk::reduction_that_ends(int rank, std::size_t tensor, Time end) const {
  for (const UnfoldedReduction& reduction : trace_.reductions)
    if (reduction.scheduled && reduction.groups[tensor].end == end &&
        std::ranges::find(reduction.ranks, rank) != reduction.ranks.end())
      return &reduction;
  return nullptr;
}

// Back to the moment in which the replica that came last had the gradients.
Walk::Place Walk::through_reduction(Place at, const UnfoldedReduction& reduction) {
  const UnfoldedReduction* one = &reduction;
  const auto tensor = static_cast<std::size_t>(plan_.tensor_of[index(at.member)]);
  for (;;) {
    const UnfoldedReduction::Group& group = one->groups[tensor];
    for (std::size_t i = group.begin.size(); i-- > 0;) {
      add(PathCause::data, at, now_ - group.begin[i]);
      if (group.begin[i] != group.ready[i]) continue;  // it began when the one before was over
      const int rank = group.last_rank[i];
      const auto place = static_cast<std::size_t>(std::ranges::find(one->ranks, rank) - one->ranks.begin());
      at = {rank, group.last_member[i], one->slots[place]};
      visit(at, PathVisit::Over::reduction);
      return at;
    }
    const UnfoldedReduction* before = nullptr;
    for (const int rank : one->ranks)
      if (before == nullptr) before = reduction_that_ends(rank, tensor, now_);
    if (before == nullptr || before == one) return {at.rank, at.member, -1};  // the opening gathers
    one = before;
  }
}

// ---- a slot ---------------------------------------------------------------------------------------------

// To the start of the member that came last to the first collective.
Walk::Place Walk::through_slot(Place at) {
  const UnfoldedPass& pass = pass_of(at.rank, at.slot);
  const int width = plan_.members / plan_.cells, column = at.member / width;
  const Duration traffic = pass.traffic.empty() ? pass.nominal_traffic() : pass.traffic[index(column)];
  Duration own = own_of(pass, at.member);
  Place first = at;
  if (width > 1 && pass.collectives > 0) {
    const std::int64_t stretches = pass.collectives + 1;
    const auto edge = [&](int member) { return Duration{own_of(pass, member).ns / stretches}; };
    const auto meets = [&](int member) { return start_of(at.rank, at.slot, member) + edge(member); };
    const auto together = [&](int member) { return own_of(pass, member) - 2 * edge(member); };
    Place slowest = at;
    for (int q = column * width; q < (column + 1) * width; ++q) {
      if (meets(q) > meets(first.member)) first.member = q;
      if (together(q) > together(slowest.member)) slowest.member = q;
    }
    own = edge(first.member) + together(slowest.member) + edge(at.member);
    if (slowest.member != at.member) visit(slowest, PathVisit::Over::cell);
    at = slowest;
  }
  const Duration whole = now_ - start_of(at.rank, at.slot, first.member);
  if (whole > own + traffic && follows_parameters(at, own + traffic)) {
    // Its last bucket came when all parameters were gathered, one stage after the other since the beginning.
    const Time gathered = gathered_at(at);
    split_pass(pass, at, own, traffic, now_ - gathered);
    return {at.rank, at.member, -1};
  }
  split_pass(pass, at, own, traffic, whole);
  if (first.member != at.member) visit(first, PathVisit::Over::cell);
  return first;
}

Time Walk::gathered_at(const Place& at) const {
  const int stage = s_.slots[index(at.rank)][index(at.slot)].stage;
  const std::vector<Time>& gathered = plan_.data[index(at.rank)][index(stage)].gathered;
  return gathered.empty() ? Time{} : gathered[static_cast<std::size_t>(plan_.tensor_of[index(at.member)])];
}

// Whether a slot of `work` ends as it does because its parameters came late: the first forward of its stage.
bool Walk::follows_parameters(const Place& at, Duration work) const {
  const Slot& slot = s_.slots[index(at.rank)][index(at.slot)];
  const Time gathered = gathered_at(at);
  return slot.pass == Pass::forward && gathered > Time{} && gathered <= now_ && now_ - gathered <= work &&
         gathered > start_of(at.rank, at.slot, at.member);
}

// `whole` may be shorter than the slot (a bucket that was ready before its end) or longer (slowed by the data
// stream, noise).
void Walk::split_pass(const UnfoldedPass& pass, Place at, Duration own, Duration traffic, Duration whole) {
  Duration rest = whole;
  const auto take = [&](PathCause cause, Duration part) {
    const Duration length = std::clamp(part, Duration{}, rest);
    add(cause, at, length);
    rest -= length;
  };
  const Duration work = own + traffic;
  if (whole > work) take(plan_.jitter > 0 ? PathCause::slowdown : PathCause::data, whole - work);
  const double shown =
      work > whole && work > Duration{} ? static_cast<double>(whole.ns) / static_cast<double>(work.ns) : 1;
  const auto part = [&](Duration d) {
    return Duration{static_cast<std::int64_t>(static_cast<double>(d.ns) * shown)};
  };
  take(PathCause::slowdown, part(own - pass.nominal_own()));
  take(PathCause::tensor, part(pass.tensor + (traffic - pass.nominal_traffic())));
  take(PathCause::context, part(pass.context));
  take(PathCause::expert, part(pass.expert));
  take(PathCause::data, part(pass.data));
  take(PathCause::host, part(pass.host));
  take(PathCause::compute, rest);
}

// ---- before a slot --------------------------------------------------------------------------------------

Walk::Place Walk::before_slot(Place at) {
  const Slot& slot = s_.slots[index(at.rank)][index(at.slot)];
  if (end_of(at.rank, at.slot - 1, at.member) == now_) return {at.rank, at.member, at.slot - 1};
  const bool fused = slot.pass == Pass::forward_backward;
  if ((slot.pass == Pass::forward || fused) && slot.stage > 0 &&
      through_message(at, row(slot.stage, slot.microbatch), false))
    return at;
  if ((slot.pass == Pass::backward || slot.pass == Pass::input_gradient) &&
      through_message(at, row(slot.stage, slot.microbatch), true))
    return at;
  if (fused && through_message(at, row(slot.backward_stage, slot.backward_microbatch), true)) return at;
  const auto tensor = static_cast<std::size_t>(plan_.tensor_of[index(at.member)]);
  if (const UnfoldedReduction* reduction = reduction_that_ends(at.rank, tensor, now_))
    return through_reduction(at, *reduction);
  if (plan_.point_to_point == PointToPoint::blocking && through_held(at)) return at;
  return {at.rank, at.member, -1};  // parameters: only gathers are left
}

int Walk::slot_that_ends(int rank, int member, Time end) const {
  int low = 0, high = static_cast<int>(s_.slots[index(rank)].size());
  while (low < high) {
    const int middle = (low + high) / 2;
    if (end_of(rank, middle, member) < end)
      low = middle + 1;
    else
      high = middle;
  }
  return low < static_cast<int>(s_.slots[index(rank)].size()) && end_of(rank, low, member) == end ? low : -1;
}

bool Walk::through_message(Place& at, std::size_t message, bool gradient) {
  const Time arrival =
      (gradient ? trace_.gradient : trace_.activation)[message * index(plan_.members) + index(at.member)];
  if (arrival != now_) return false;
  return through_transfer(at, message, gradient, at);
}

// To the sender; a blocking transfer that waited for its receiver, to what the receiver computed before.
bool Walk::through_transfer(Place& at, std::size_t message, bool gradient, const Place& receiver) {
  const Sender sender = (gradient ? gradient_from_ : activation_from_)[message];
  if (sender.rank < 0) return false;
  const Time sent = end_of(sender.rank, sender.slot, at.member);
  if (plan_.point_to_point == PointToPoint::blocking && sender.rank != receiver.rank) {
    const UnfoldedLink& link = plan_.links[index(sender.rank) * index(s_.ranks) + index(receiver.rank)];
    const Duration length = link.of_member.empty() ? link.nominal : link.of_member[index(at.member)];
    const int before = now_ - length > sent ? slot_that_ends(receiver.rank, at.member, now_ - length) : -1;
    if (before >= 0) {
      add(PathCause::transfer, at, length);
      at = {receiver.rank, at.member, before};
      visit(at, PathVisit::Over::message);
      return true;
    }
  }
  add(PathCause::transfer, at, now_ - sent);
  at = {sender.rank, at.member, sender.slot};
  visit(at, PathVisit::Over::message);
  return true;
}

// A rank that a blocking transfer held: one of its own outputs, or an input of a later slot.
bool Walk::through_held(Place& at) {
  const std::size_t members = index(plan_.members);
  for (const bool gradient : {false, true}) {
    const std::vector<Sender>& from = gradient ? gradient_from_ : activation_from_;
    const std::vector<Time>& arrivals = gradient ? trace_.gradient : trace_.activation;
    for (int stage = 0; stage < s_.stages; ++stage)
      for (int m = 0; m < s_.microbatches; ++m) {
        const std::size_t message = row(stage, m);
        if (from[message].rank < 0 || arrivals[message * members + index(at.member)] != now_) continue;
        const int to = s_.rank_of_stage[index(s_.direction_of_microbatch[index(m)])][index(stage)];
        if (from[message].rank == to || (to != at.rank && from[message].rank != at.rank)) continue;
        return through_transfer(at, message, gradient, {to, at.member, -1});
      }
  }
  return false;
}

// ---- scaled plans ---------------------------------------------------------------------------------------

Duration scaled(Duration d, double factor) {
  return Duration{std::llround(static_cast<double>(d.ns) * factor)};
}

}  // namespace

std::string_view name_of(PathCause cause) {
  constexpr std::array<std::string_view, kPathCauses> kNames = {
      "compute", "slowdown", "tensor", "context", "expert", "data", "transfer", "host", "optimizer", "other"};
  return kNames[static_cast<std::size_t>(cause)];
}

std::string_view name_of(PathVisit::Over over) {
  constexpr std::array<std::string_view, 4> kNames = {"start", "message", "collective", "reduction"};
  return kNames[static_cast<std::size_t>(over)];
}

Duration CriticalPath::by_cause(PathCause cause) const {
  Duration sum{};
  for (const PathSegment& segment : segments)
    if (segment.cause == cause) sum += segment.to - segment.from;
  return sum;
}

CriticalPath critical_path(const UnfoldedPlan& plan, const UnfoldedTrace& trace, int rank, int member) {
  return Walk(plan, trace).from(rank, member);
}

UnfoldedPlan with_cause_scaled(const UnfoldedPlan& plan, PathCause cause, double factor) {
  UnfoldedPlan out = plan;
  const auto shrink = [&](Duration& d) { d = scaled(d, factor); };
  for (UnfoldedPass& pass : out.passes) {
    const Duration nominal = pass.nominal_own(), traffic = pass.nominal_traffic();
    const std::array<std::pair<PathCause, Duration*>, 6> parts = {{{PathCause::compute, &pass.compute},
                                                                   {PathCause::host, &pass.host},
                                                                   {PathCause::tensor, &pass.tensor},
                                                                   {PathCause::context, &pass.context},
                                                                   {PathCause::expert, &pass.expert},
                                                                   {PathCause::data, &pass.data}}};
    for (const auto& [kind, part] : parts)
      if (kind == cause) shrink(*part);
    for (Duration& own : pass.own) {
      if (cause == PathCause::slowdown && own > nominal) own = nominal + scaled(own - nominal, factor);
      own += pass.nominal_own() - nominal;
    }
    for (Duration& each : pass.traffic) {
      const Duration more = each - traffic;
      each = pass.nominal_traffic() + (cause == PathCause::tensor ? scaled(more, factor) : more);
    }
  }
  if (cause == PathCause::slowdown) out.jitter *= factor;
  if (cause == PathCause::transfer)
    for (UnfoldedLink& link : out.links) {
      shrink(link.nominal);
      for (Duration& each : link.of_member) shrink(each);
    }
  if (cause != PathCause::data) return out;
  shrink(out.tied);
  const auto shrink_time = [&](Time& t) { t = Time{} + scaled(t - Time{}, factor); };
  for (std::vector<UnfoldedData>& stages : out.data)
    for (UnfoldedData& data : stages) {
      for (Duration& each : data.reduce) shrink(each);
      for (Time& each : data.first_bucket) shrink_time(each);
      for (Time& each : data.gathered) shrink_time(each);
    }
  for (std::vector<Time>& free : out.stream_free)
    for (Time& each : free) shrink_time(each);
  return out;
}

}  // namespace runcast
