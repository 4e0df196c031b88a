// What strikes a run and how it gets back to work; the rules stand in training_run.hpp.
#include <algorithm>
#include <array>

#include "failures/run_state.hpp"

namespace runcast {

namespace {

constexpr std::array<Bucket, kRecoveryStates> kBucketOf{
    Bucket::detect,  Bucket::diagnose, Bucket::wait_for_spare, Bucket::restart,
    Bucket::restart, Bucket::restart,  Bucket::restart,        Bucket::restart};

RecoveryTimes scaled(const RecoveryTimes& t, const std::array<double, kRecoveryStates>& factors) {
  const auto by = [&](Duration d, RecoveryState state) {
    return scaled(d, factors[static_cast<std::size_t>(state)]);
  };
  return {by(t.detect, RecoveryState::detect),
          by(t.diagnose, RecoveryState::diagnose),
          by(t.reschedule, RecoveryState::reschedule),
          by(t.start, RecoveryState::start),
          by(t.initialize, RecoveryState::initialize),
          by(t.warm_up, RecoveryState::warm_up),
          t.manual};
}

std::int64_t first_of(const std::vector<std::int64_t>& nodes) { return nodes.empty() ? -1 : nodes.front(); }

}  // namespace

// ---- what strikes -----------------------------------------------------------------------------------------

// Events are drawn for the whole job; in a phase on fewer nodes those of the others are nobody's. For a Poisson process
// this is that of the nodes in use, and two cluster shares meet the same failures.
bool Run::strikes_idle_nodes(std::size_t index) {
  const double share = phase_at(position_).share[index];
  return share < 1 && draws_[index].idle.uniform() >= share;
}

std::optional<Run::Trouble> Run::strike_class(std::size_t index, bool up) {
  const FailureClass& failure = input_.failures.classes[index];
  ClassDraws& draws = draws_[index];
  switch (failure.action) {
    case Action::planned:
      stop_due_ = true;
      stop_class_ = index;
      return std::nullopt;
    case Action::corrupt:
      if (up) latent_.push_back({position_, now() + to_clock(*failure.detect), index});
      return std::nullopt;
    case Action::slow:
      slow_down(index, up);
      return std::nullopt;
    case Action::outage:
      storage_down_until_ = std::max(
          storage_down_until_,
          now() + to_clock(Seconds(draws.length.exponential(std::max(1e-9, failure.duration.value)))));
      for (std::size_t i = 0; i < levels_.size(); ++i)
        if (levels_.level(i).plan.kind == TierKind::parallel_fs)
          levels_.level(i).history.drop_unfinished(now());
      return std::nullopt;
    case Action::stall:
      return up ? std::optional(Trouble{index, Kind::strike, std::nullopt, {}, -1}) : std::nullopt;
    case Action::rollback: {
      if (!up) return std::nullopt;
      const Work back = std::min(position_, to_clock(failure.lookback));
      return Trouble{index, Kind::found, position_ - back, {}, -1};
    }
    case Action::swap:
    case Action::reset:
    case Action::retry:
    case Action::preempt:
      break;
  }
  if (!has_victims(failure)) return Trouble{index, Kind::strike, std::nullopt, {}, -1};
  std::vector<std::int64_t> nodes = victims(failure, scale(), draws.victim);
  if (of_single_nodes(failure) && input_.failures.co_occurring > 0 &&
      draws.together.uniform() < input_.failures.co_occurring) {
    const auto other =
        static_cast<std::int64_t>(draws.together.below(static_cast<std::uint64_t>(scale().nodes)));
    if (other != nodes.front()) nodes.push_back(other);
    std::sort(nodes.begin(), nodes.end());
  }
  return with_victims(index, std::move(nodes));
}

std::optional<Run::Trouble> Run::strike_node(const NodeHazard::Strike& strike) {
  const std::int64_t position = fleet_.node(strike.node).position;
  if (position >= scale().nodes) {  // not in use
    fleet_.renew(strike.node);
    hazard_.enter(strike.node, fleet_.node(strike.node), hazard_clock());
    return std::nullopt;
  }
  ++result_.events_by_class[strike.failure];
  auto trouble = with_victims(strike.failure, {position});
  if (trouble) trouble->special = strike.node;
  if (!trouble || input_.failures.classes[strike.failure].action != Action::swap) {
    fleet_.renew(strike.node);  // it stays and will fail again
    hazard_.enter(strike.node, fleet_.node(strike.node), hazard_clock());
  }
  return trouble;
}

// Only nodes that work can fail: not those on their way to repair, nor those of a replica that is out. What is on demand
// is not taken back.
std::optional<Run::Trouble> Run::with_victims(std::size_t index, std::vector<std::int64_t> nodes) {
  const bool taken = input_.failures.classes[index].action == Action::preempt;
  std::erase_if(nodes, [&](std::int64_t position) {
    return fleet_.at(position) < 0 || (taken && fleet_.on_demand(position, now())) ||
           (replicas_.out() > 0 && replicas_.all_out(replicas_on(position, input_.scale)));
  });
  if (nodes.empty()) return std::nullopt;
  return Trouble{index, Kind::strike, std::nullopt, std::move(nodes), -1};
}

void Run::slow_down(std::size_t index, bool up) {
  const FailureClass& failure = input_.failures.classes[index];
  const SlowStretch stretch = draw_slow_stretch(failure, draws_[index].severity, draws_[index].length);
  slow_.add(stretch.factor, now() + stretch.length);
  if (failure.evict && up) evictions_.push_back({now() + to_clock(*failure.detect), index, stretch.factor});
  if (book_.recording()) book_.event({now(), index, "slow", -1, 0, {}, stretch.length});
}

// ---- recovery ---------------------------------------------------------------------------------------------

void Run::recover(Trouble trouble) {
  std::optional<Trouble> next = std::move(trouble);
  while (next && now() < horizon_) {
    const std::size_t index = next->failure;
    const Time begin = now();
    const Trouble present = std::move(*next);
    next = recover_once(present);
    result_.lost_by_class[index] += now() - begin;
  }
}

// One recovery; returns the failure that struck the restart itself.
std::optional<Run::Trouble> Run::recover_once(const Trouble& trouble) {
  const FailureClass& failure = input_.failures.classes[trouble.failure];
  saving_ = false;
  block_left_ = {};
  if (failure.action == Action::stall) {
    const double seconds = draws_[trouble.failure].length.exponential(std::max(1e-9, failure.duration.value));
    place_saves();
    return spend(to_clock(Seconds(seconds)), Bucket::slow, true);
  }
  ++result_.unplanned;
  ++result_.interruptions_by_class[trouble.failure];
  if (!result_.first_failure) result_.first_failure = now() - Time{};
  if (can_go_on_without(trouble)) return go_on_without(trouble);
  if (failure.action == Action::preempt || trouble.kind == Kind::evict) {
    if (auto next = leave_with_notice(trouble)) return next;
  }

  const Work before = position_;
  const Time begin = now();
  const Loaded loaded = roll_back(trouble);
  std::size_t event = 0;
  if (book_.recording())
    event = book_.event({now(),
                         trouble.failure,
                         trouble.onset ? "rollback" : "restart",
                         first_of(trouble.nodes),
                         static_cast<std::int64_t>(trouble.nodes.size()),
                         before - position_,
                         {}});
  result_.lost_by_class[trouble.failure] += before - position_;
  take_out(trouble);
  auto next = pass_states(trouble, loaded);
  if (!book_.recording()) return next;
  book_.event_at(event).down = now() - begin;
  if (!fleet_plan_.endless) book_.event_at(event).spares = fleet_.idle(now());
  return next;
}

// Factors of each state's time: its own law, or the one of the whole restart.
std::array<double, kRecoveryStates> Run::state_factors(ClassDraws& draws) const {
  std::array<double, kRecoveryStates> factors{};
  factors.fill(plan_.spread > 0 ? draws.restart.lognormal(1, plan_.spread) : 1);
  for (std::size_t state = 0; state < kRecoveryStates; ++state)
    if (const auto& law = plan_.laws[state])
      factors[state] = draw(law->law, law->shape, Seconds(1), draws.phase).value;
  return factors;
}

Run::Attempt Run::begin_attempt(const Trouble& trouble) {
  const FailureClass& failure = input_.failures.classes[trouble.failure];
  ClassDraws& draws = draws_[trouble.failure];
  const std::array<double, kRecoveryStates> factors = state_factors(draws);
  Attempt attempt{{}, scaled(plan_.times, factors), factors[static_cast<std::size_t>(RecoveryState::load)]};
  if (trouble.kind == Kind::strike && failure.action != Action::preempt)
    attempt.incident.detect = scaled(failure.detect ? to_clock(*failure.detect) : plan_.times.detect,
                                     factors[static_cast<std::size_t>(RecoveryState::detect)]);
  if (plan_.manual_probability > 0 && draws.manual.uniform() < plan_.manual_probability)
    attempt.incident.manual = plan_.times.manual;
  return attempt;
}

// The states one by one. What strikes before the restart begins is repaired along: that state begins again for it,
// beside what the state still had to do. A job that is known to be down needs no second detection.
std::optional<Run::Trouble> Run::pass_states(const Trouble& trouble, Loaded loaded) {
  Attempt attempt = begin_attempt(trouble);
  bool waited = false;
  std::optional<Duration> left;  // of the state as it was before it was struck
  for (std::size_t i = 0; i < kRecoveryStates;) {
    const auto state = static_cast<RecoveryState>(i);
    attempt.incident.load = scaled(loaded.load, attempt.load_factor);
    attempt.incident.swap = attempt.incident.swap || fleet_.missing() > 0;
    Duration d = plan_.policy->timeline(attempt.incident, attempt.times)[i];
    if (left && state == RecoveryState::detect) d = std::min(d, *left);
    if (left && state == RecoveryState::diagnose) d = std::max(d, *left);
    left.reset();
    if (state == RecoveryState::wait_for_spare) {
      const Time ready = can_start_without_lost() ? now() : fleet_.ready(now());
      d = ready == kNever ? horizon_ - now() : ready - now();
      if (d.ns > 0 && !waited) ++result_.waits;
      waited = waited || d.ns > 0;
    }
    if (state == RecoveryState::reschedule) d += fill_positions();
    const bool from_storage = loaded.level->plan.kind == TierKind::parallel_fs;
    if (state == RecoveryState::load && from_storage && !storage_reachable())
      d += storage_down_until_ - now();
    const Time begin = now();
    auto next = spend(d, kBucketOf[i], false);
    if (now() >= horizon_) return std::nullopt;
    if (!next) {
      ++i;
      continue;
    }
    if (state > RecoveryState::wait_for_spare) return next;
    left = d - (now() - begin);
    ++result_.unplanned;
    ++result_.interruptions_by_class[next->failure];
    loaded = roll_back(*next);
    take_out(*next);
    attempt = begin_attempt(*next);
  }
  put_back_whole();
  return std::nullopt;
}

// Nodes that are there take the empty positions; the time that it takes to get them from elsewhere.
Duration Run::fill_positions() {
  const NodeFleet::Filling filling = fleet_.fill(now());
  for (const std::int32_t id : filling.entered) hazard_.enter(id, fleet_.node(id), hazard_clock());
  Duration more = scaled(plan_.preemption, static_cast<double>(filling.borrowed));
  if (filling.cold > 0 || filling.rented > 0) more += plan_.cold_reschedule;
  return more;
}

// The last save that is durable, not corrupted, and whole after this event.
Run::Loaded Run::roll_back(const Trouble& trouble) {
  const FailureClass& failure = input_.failures.classes[trouble.failure];
  const double luck = levels_.size() > 1 ? draws_[trouble.failure].survival.uniform() : 1;
  const Loss loss{trouble.nodes, failure.action == Action::swap || failure.action == Action::preempt ||
                                     trouble.kind == Kind::evict};
  const Work kept = levels_.durable().history.newest();
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    SaveLevels::Level& level = levels_.level(i);
    level.history.drop_unfinished(now());
    if (trouble.onset) level.history.drop_after(*trouble.onset);
  }
  const SaveLevels::Level* best = &levels_.durable();
  Work back = best->history.newest();
  if (trouble.onset) back = oldest_kept(kept, back);
  for (std::size_t i = levels_.size() - 1; i-- > 0;) {
    const SaveLevels::Level& level = levels_.level(i);
    // Copies in memory hold the newest state alone: nothing of before a corruption that was found later.
    const bool newest_only = level.plan.kind == TierKind::peer_memory;
    const bool whole = !(trouble.onset && newest_only) && luck < level.plan.covers &&
                       survives(level.plan, loss, scale().nodes);
    if (whole && level.history.newest() >= back) {
      best = &level;
      back = level.history.newest();
    } else if (!whole) {
      levels_.level(i).history.drop_after(Work{});  // lost: the next restart cannot use it either
    }
  }
  for (std::size_t i = 0; i < levels_.size(); ++i) levels_.level(i).history.drop_after(back);
  if (!trouble.onset) recompute_until_ = std::max(recompute_until_, position_);
  position_ = std::min(position_, back);
  // A corruption whose onset is undone is gone, unseen.
  std::erase_if(latent_, [&](const Latent& l) { return l.onset >= back; });
  persist_until_ = now();
  place_saves();
  return {best, best->load};
}

// Of the saves before a corruption: the newest that is still kept.
Work Run::oldest_kept(Work newest, Work wanted) const {
  const CheckpointPlan& plan = input_.checkpoint;
  if (plan.retain == 0 || (newest - wanted).ns / levels_.durable().stride.ns < plan.retain) return wanted;
  if (plan.archive.value <= 0) return Work{};
  const Work archive = to_clock(plan.archive);
  return step_begin(archive * (wanted.ns / archive.ns));
}

// Nodes leave the job for repair, now and then the wrong ones.
void Run::take_out(const Trouble& trouble) {
  const FailureClass& failure = input_.failures.classes[trouble.failure];
  const bool leaves =
      failure.action == Action::swap || failure.action == Action::preempt || trouble.kind == Kind::evict;
  if (!leaves) return;
  ClassDraws& draws = draws_[trouble.failure];
  const std::int64_t nodes = scale().nodes;
  const bool taken = failure.action == Action::preempt;  // nobody is blamed
  if (!taken && plan_.misdiagnosis > 0 && trouble.nodes.size() == 1 && nodes > 1 &&
      draws.blame.uniform() < plan_.misdiagnosis) {
    const std::int64_t faulty = trouble.nodes.front();
    const auto step = static_cast<std::int64_t>(draws.blame.below(static_cast<std::uint64_t>(nodes - 1)));
    fleet_.suspect((faulty + 1 + step) % nodes, now());
    const std::int32_t id = fleet_.at(faulty);
    if (id < 0) return;
    fleet_.mark_broken(id, trouble.failure);
    fleet_.renew(id);
    hazard_.enter(id, fleet_.node(id), hazard_clock());
    return;
  }
  for (const std::int64_t position : trouble.nodes)
    fleet_.fail(position, failure, trouble.failure, now(), draws.repair);
  if (taken || plan_.over_evict <= 1) return;
  const std::int64_t begin = trouble.nodes.front() / plan_.over_evict * plan_.over_evict;
  for (std::int64_t p = begin; p < std::min(nodes, begin + plan_.over_evict); ++p) fleet_.suspect(p, now());
}

// A node that is known to go: the state is saved first where the notice allows it.
std::optional<Run::Trouble> Run::leave_with_notice(const Trouble& trouble) {
  const FailureClass& failure = input_.failures.classes[trouble.failure];
  const Duration block = levels_.durable().block, persist = levels_.durable().persist;
  const bool time_enough = trouble.kind == Kind::evict || to_clock(failure.notice) >= block + persist;
  if (!time_enough || !storage_reachable()) return std::nullopt;
  const Work begun = step_begin(position_);
  recompute_until_ = std::max(recompute_until_, position_);
  position_ = begun;
  if (auto next = spend(block + persist, Bucket::checkpoint, true)) return next;
  if (now() >= horizon_ || position_ <= levels_.durable().history.newest()) return std::nullopt;
  for (std::size_t i = 0; i < levels_.size(); ++i) levels_.level(i).history.add(position_, now());
  ++result_.saves;
  return std::nullopt;
}

// ---- replicas ---------------------------------------------------------------------------------------------

bool Run::can_go_on_without(const Trouble& trouble) const {
  if (plan_.policy->survivors == Survivors::stop || trouble.onset || trouble.nodes.empty()) return false;
  ReplicaSet after = replicas_;
  for (const std::int64_t position : trouble.nodes) {
    const ReplicaRange lost = replicas_on(position, input_.scale);
    for (std::int64_t r = lost.first; r <= lost.last; ++r) after.take_out(r, kNever);
  }
  if (static_cast<std::int64_t>(after.out()) > most_lost()) return false;
  if (plan_.policy->survivors == Survivors::go_on_slower) return true;
  return std::all_of(after.list().begin(), after.list().end(),
                     [&](const ReplicaSet::Out& out) { return after.masked(out.replica); });
}

// State is whole on the other replicas, at most the current step is lost.
std::optional<Run::Trouble> Run::go_on_without(const Trouble& trouble) {
  const Work before = position_;
  recompute_until_ = std::max(recompute_until_, position_);
  position_ = step_begin(position_);
  place_saves();
  take_out(trouble);
  const bool mask = plan_.policy->survivors == Survivors::mask;
  Time back = now();
  if (fleet_.missing() > 0) back = fleet_.ready(now());
  if (back != kNever) {
    if (back == now() && fleet_.missing() > fleet_.warm(now())) back += plan_.cold_reschedule;
    if (fleet_.missing() > 0) back += plan_.times.reschedule;
    back += plan_.times.start + plan_.times.initialize;
  }
  if (mask && !plan_.replicas_return) back = kNever;
  for (const std::int64_t position : trouble.nodes) {
    const ReplicaRange lost = replicas_on(position, input_.scale);
    for (std::int64_t r = lost.first; r <= lost.last; ++r) replicas_.take_out(r, back);
  }
  result_.lost_by_class[trouble.failure] += before - position_;
  if (book_.recording())
    book_.event({now(), trouble.failure, mask ? "masked" : "replica lost", first_of(trouble.nodes),
                 static_cast<std::int64_t>(trouble.nodes.size()), before - position_, plan_.stall});
  return spend(plan_.stall, Bucket::restart, false);
}

bool Run::has_lost_nodes(std::int64_t replica) const {
  return std::any_of(fleet_.empty().begin(), fleet_.empty().end(), [&](std::int64_t position) {
    const ReplicaRange here = replicas_on(position, input_.scale);
    return here.first <= replica && replica <= here.last;
  });
}

// Elastic: the job starts again with the replicas that are whole, as long as those may go on alone.
bool Run::can_start_without_lost() const {
  return plan_.policy->survivors == Survivors::go_on_slower &&
         static_cast<std::int64_t>(replicas_.out()) <= most_lost() &&
         std::all_of(fleet_.empty().begin(), fleet_.empty().end(), [&](std::int64_t position) {
           return replicas_.all_out(replicas_on(position, input_.scale));
         });
}

void Run::put_back_whole() {
  std::vector<std::int64_t> whole;
  for (const ReplicaSet::Out& out : replicas_.list())
    if (!has_lost_nodes(out.replica)) whole.push_back(out.replica);
  for (const std::int64_t replica : whole) replicas_.put_back(replica);
}

void Run::rejoin_due() {
  auto& out = replicas_.list();
  const auto due =
      std::find_if(out.begin(), out.end(), [&](const ReplicaSet::Out& o) { return o.back <= now(); });
  if (due == out.end()) return;
  fill_positions();
  if (has_lost_nodes(due->replica)) {  // others were faster
    const Time ready = fleet_.ready(now());
    due->back = ready == kNever ? kNever : std::max(ready, now() + Duration{1}) + plan_.times.reschedule;
    return;
  }
  // All that are due come back in one pause.
  std::vector<std::int64_t> back;
  for (const ReplicaSet::Out& o : out)
    if (o.back <= now() && !has_lost_nodes(o.replica)) back.push_back(o.replica);
  for (const std::int64_t replica : back) replicas_.put_back(replica);
  if (auto trouble = spend(plan_.rejoin, Bucket::restart, false)) recover(std::move(*trouble));
}

}  // namespace runcast
