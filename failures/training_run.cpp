// Time, ledger and training of one run; its rules stand in the header.
#include "failures/training_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "failures/limits.hpp"
#include "failures/run_state.hpp"

namespace runcast {

namespace {

constexpr Work kEndless{kNever.ns / 4};
// Events between two looks at whether the run gets anywhere, and from how many on half of the pace is asked for; before, a
// hundredth.
constexpr std::int64_t kReview = 1'000, kPatience = 10'000;
const std::int64_t kHourNs = to_clock(Seconds(kHour)).ns;

// Of the nodes that take part in the phase, with the replicas on them.
JobScale scale_of(const RunInput& input, const TrainingPhase& phase) {
  JobScale scale = input.scale;
  if (phase.nodes <= 0 || phase.nodes >= scale.nodes) return scale;
  scale.replicas = std::max<std::int64_t>(1, scale.replicas * phase.nodes / scale.nodes);
  scale.nodes = phase.nodes;
  return scale;
}

std::vector<double> event_shares(const RunInput& input, const JobScale& scale) {
  std::vector<double> shares;
  for (const FailureClass& failure : input.failures.classes) {
    const EventRate all = system_rate(failure, input.scale);
    shares.push_back(all.value > 0 ? system_rate(failure, scale) / all : 1);
  }
  return shares;
}

// Step time with k replicas out over the normal one.
std::vector<double> paces(const RunInput& input, const TrainingPhase& phase) {
  const RecoveryPlan& plan = input.recovery;
  if (plan.policy->survivors == Survivors::mask) return {plan.replication_pace};
  std::vector<double> pace{1};
  if (plan.policy->survivors == Survivors::stop) return pace;
  for (std::int64_t k = 1; k <= plan.max_lost; ++k) {
    const auto i = static_cast<std::size_t>(k - 1);
    const std::int64_t replicas = scale_of(input, phase).replicas;
    if (k >= replicas) break;  // one at least goes on
    const double fewer = static_cast<double>(replicas) / static_cast<double>(replicas - k);
    pace.push_back(i < phase.with_lost.size() ? std::max(1.0, phase.with_lost[i] / phase.step_time)
                                              : fewer / plan.elastic_overhead);
  }
  return pace;
}

std::vector<StepGrid> grids_of(const RunInput& input) {
  std::vector<StepGrid> grids;
  Work begin{};
  for (const TrainingPhase& phase : input.steps.phases) {
    const Work step = to_clock(phase.step_time);
    grids.push_back({begin, begin + step * phase.steps, step});
    begin = grids.back().end;
  }
  if (input.window) grids.back().end = kEndless;
  return grids;
}

// Events per second that do not stop the job when they strike: nothing but their number bounds the work of
// drawing them.
double quiet_rate(const RunInput& input) {
  double rate = 0;
  for (const FailureClass& failure : input.failures.classes)
    if (!unplanned(failure.action) || failure.action == Action::corrupt)
      rate += system_rate(failure, input.scale).value;
  return rate;
}

}  // namespace

Run::Run(const RunInput& input, std::uint64_t seed, std::uint64_t trial, RunRecord* record)
    : input_(input),
      plan_(input.recovery),
      fleet_plan_(plan_.fleet()),
      process_(input.failures, input.scale, seed, trial, input.uncertain_rates),
      fleet_(fleet_plan_, input.failures, input.scale, seed, trial),
      hazard_(input.failures, input.scale, plan_.shop.recurrence, seed, trial),
      levels_(input.checkpoint, plan_.load, grids_of(input)),
      book_(record),
      evaluation_next_(to_clock(input.conditions.evaluation_interval)),
      replicas_(std::max<std::int64_t>(1, input.scale.replicas), plan_.replication) {
  const std::vector<StepGrid> grids = grids_of(input);
  for (std::size_t i = 0; i < grids.size(); ++i) {
    const JobScale scale = scale_of(input, input.steps.phases[i]);
    phases_.push_back({grids[i], paces(input, input.steps.phases[i]), scale, event_shares(input, scale)});
  }
  total_ = grids.back().end;
  const Duration give_up =
      total_ < kEndless ? total_ * 20 + to_clock(Seconds(30 * kDay)) : Duration{kNever.ns};
  horizon_ = Time{} + (input.window ? to_clock(*input.window) : give_up);
  for (const FailureClass& failure : input.failures.classes)
    draws_.emplace_back(seed, trial, class_address(failure.name));
  const std::size_t classes = input.failures.classes.size();
  result_.events_by_class.resize(classes);
  result_.interruptions_by_class.resize(classes);
  result_.lost_by_class.resize(classes);
  if (input.failures.lemons.fraction > 0)
    for (std::int64_t i = 0; i < input.scale.nodes; ++i)
      hazard_.enter(fleet_.at(i), fleet_.node(fleet_.at(i)), Duration{});
  if (evaluation_next_.ns == 0 || input.conditions.evaluation.value <= 0) evaluation_next_ = {kNever.ns};
  RandomStream straggler(seed, Purpose::jitter, class_address("persistent straggler"), trial);
  if (const double factor = draw_persistent(input.conditions.straggler, straggler); factor > 1)
    slow_.add(factor, kNever);
  levels_.set_grid(phases_.front().grid);
  place_saves();
}

RunResult Run::simulate() {
  while (!done_) {
    if (now() >= horizon_) break;
    if (!saving_ && position_ == total_) {
      finish();
    } else if (!saving_ && stop_due_ && step_begin(position_) == position_) {
      planned_stop();
    } else if (!saving_ && position_ >= evaluation_next_) {
      evaluate();
    } else if (const Time until = next_change(); until > now()) {
      advance(until);
    } else {
      meet_changes();
    }
  }
  result_.wall = book_.total();
  result_.ledger = book_.ledger();
  result_.finished = input_.window.has_value() || done_;
  result_.nodes = fleet_.node_time(now());
  result_.fleet = fleet_.counts();
  Duration sum;
  for (const Duration d : result_.ledger) sum += d;
  INVARIANT(sum == result_.wall);
  return std::move(result_);
}

// ---- time and ledger ------------------------------------------------------------------------------------

double Run::diurnal() const {
  const double swing = input_.conditions.diurnal;
  if (swing == 0) return 1;
  const double hour = static_cast<double>(now().ns / kHourNs % 24) + 0.5;
  return 1 / (1 + swing * std::sin(2 * std::numbers::pi * hour / 24));
}

double Run::elastic_pace() const {
  const std::vector<double>& pace = phase_at(position_).pace;
  return pace[std::min(replicas_.out(), pace.size() - 1)];
}

double Run::drag() const {
  return elastic_pace() * slow_.factor() * (persisting() ? input_.checkpoint.slowdown : 1);
}

// Work from one position to another took `wall`, at least its normal time of this hour: what was done before
// is replay, the excess belongs to whoever slowed it.
void Run::charge_work(Work from, Work to, Duration wall) {
  const auto overlap = [&](Work low, Work high) {
    return std::max(Duration{}, std::min(to, high) - std::max(from, low));
  };
  const bool normal_speed = wall == to - from && input_.conditions.diurnal == 0;
  if (normal_speed && from >= std::max(recompute_until_, furthest_)) {  // all new
    furthest_ = to;
    return charge(wall, Bucket::useful);
  }
  const double hour = diurnal(), elastic = elastic_pace(), slow = slow_.factor();
  const double persist = persisting() ? input_.checkpoint.slowdown : 1;
  const Duration normal = std::min(wall, scaled(to - from, hour));
  const Duration again = std::min(normal, scaled(overlap(Work{}, recompute_until_), hour));
  const Duration corrupted = std::min(normal - again, scaled(overlap(recompute_until_, furthest_), hour));
  Duration excess = wall - normal;
  const Duration by_saving = persist > 1 ? std::min(excess, scaled(wall, 1 - 1 / persist)) : Duration{};
  excess -= by_saving;
  const Duration by_loss = slow == 1 ? excess : std::min(excess, scaled(normal, elastic) - normal);
  charge(again, Bucket::recomputed);
  charge(corrupted, Bucket::sdc);
  charge(normal - again - corrupted, Bucket::useful);
  furthest_ = std::max(furthest_, to);
  charge(by_saving, Bucket::checkpoint);
  charge(by_loss, Bucket::elastic_deficit);
  charge(excess - by_loss, Bucket::slow);
}

Duration Run::hazard_clock() const {
  return input_.failures.clock == HazardClock::always ? now() - Time{} : up_;
}

// When a hazard clock shows `at`, if the job stays up (or down) until then.
Time Run::on_wall(Duration at, bool counts_up, bool up) const {
  if (!counts_up) return Time{} + at;
  if (!up || at.ns >= kNever.ns - now().ns) return kNever;
  return std::max(now(), now() + (at - up_));
}

Time Run::next_failure(bool up) const {
  const Time by_class =
      std::min(on_wall(process_.next_on_wall().at, false, up), on_wall(process_.next_on_up().at, true, up));
  return std::min(by_class, on_wall(hazard_.next(), input_.failures.clock == HazardClock::up, up));
}

// A run that keeps its pace so far and would have less than half of its work saved at the horizon ends here; a young one
// when it would have less than a hundredth.
void Run::give_up_when_hopeless() {
  if (input_.window) return;
  Work kept = plan_.policy->survivors == Survivors::stop ? Work{} : position_;
  for (std::size_t i = 0; i < levels_.size(); ++i) kept = std::max(kept, levels_.level(i).history.newest());
  const double done = static_cast<double>(kept.ns) / static_cast<double>(total_.ns);
  const double gone = static_cast<double>(now().ns) / static_cast<double>((horizon_ - Time{}).ns);
  if (done <= gone / (events_ < kPatience ? 100 : 2)) horizon_ = now();
}

// Lets `d` pass in one state; a failure before its end interrupts.
std::optional<Run::Trouble> Run::spend(Duration d, Bucket bucket, bool up) {
  const Time end = d < horizon_ - now() ? now() + d : horizon_;
  while (now() < std::min(end, horizon_)) {
    const Time next = std::max(now(), next_failure(up));
    const Duration passed = std::min(next, end) - now();
    charge(passed, bucket);
    if (up) up_ += passed;
    if (next >= end) break;
    if (auto trouble = strike(up)) return trouble;
  }
  return std::nullopt;
}

// Takes the failure that is due now: of the calendar, of the job's up-time, of single nodes. What interrupts
// is returned; what only changes the state is noted.
std::optional<Run::Trouble> Run::strike(bool up) {
  if (++events_ % kReview == 0) give_up_when_hopeless();
  const bool by_calendar = on_wall(process_.next_on_wall().at, false, up) <= now();
  if (by_calendar || on_wall(process_.next_on_up().at, true, up) <= now()) {
    const std::size_t index = by_calendar ? process_.next_on_wall().failure : process_.next_on_up().failure;
    process_.take(index);
    if (strikes_idle_nodes(index)) return std::nullopt;
    ++result_.events_by_class[index];
    return strike_class(index, up);
  }
  if (const auto special = hazard_.take(fleet_, now())) return strike_node(*special);
  return std::nullopt;
}

// ---- training -------------------------------------------------------------------------------------------

const Run::PhaseRow& Run::phase_at(Work position) const {
  std::size_t i = 0;
  while (i + 1 < phases_.size() && position >= phases_[i].grid.end) ++i;
  return phases_[i];
}

void Run::place_saves() { levels_.place(position_); }

// The earliest instant at which anything but progress and saves happens.
Time Run::next_change() const {
  Time next = std::min({horizon_, next_failure(true), slow_.next_end()});
  for (const Latent& latent : latent_) next = std::min(next, latent.found);
  for (const Eviction& eviction : evictions_) next = std::min(next, eviction.found);
  for (const ReplicaSet::Out& out : replicas_.list()) next = std::min(next, out.back);
  if (!storage_reachable()) next = std::min(next, storage_down_until_);
  if (input_.conditions.diurnal != 0) next = std::min(next, Time{(now().ns / kHourNs + 1) * kHourNs});
  return next;
}

void Run::advance(Time until) {
  while (now() < until) {
    if (saving_) {
      const Duration d = std::min(block_left_, until - now());
      charge(d, Bucket::checkpoint);
      up_ += d;
      block_left_ -= d;
      if (block_left_.ns > 0) return;
      finish_save();
      continue;
    }
    if (stop_due_ && step_begin(position_) == position_) return;
    if (position_ == total_ || position_ >= evaluation_next_) return;
    const PhaseRow& phase = phase_at(position_);
    if (static_cast<std::size_t>(&phase - phases_.data()) != phase_) {
      phase_ = static_cast<std::size_t>(&phase - phases_.data());
      levels_.set_grid(phase.grid);
    }
    const Work limit = std::min({total_, phase.grid.end, evaluation_next_});
    if (jump_cycles(until, limit)) continue;
    Work target = std::min(limit, levels_.next());
    if (stop_due_) target = std::min(target, phase.grid.ceil(position_));
    compute(target, persisting() && input_.checkpoint.slowdown > 1 ? std::min(until, persist_until_) : until);
  }
}

// Whole cycles of compute and saves up to the next thing that is different.
bool Run::jump_cycles(Time until, Work limit) {
  if (stop_due_) return false;
  const double slowdown = input_.checkpoint.slowdown;
  const Duration persist = levels_.durable().persist;
  const double base = elastic_pace() * slow_.factor() * diurnal();
  SaveLevels::Pace pace{base, {}, false};
  SaveLevels::Jump jump;
  const bool just_saved = persist_until_ - now() == persist;
  if (slowdown == 1 || just_saved) {
    if (slowdown > 1)
      pace.extra = std::min(scaled(persist, 1 - 1 / slowdown), scaled(levels_.durable().stride, base));
    jump = levels_.jump(position_, limit, until - now(), pace);
  }
  if (slowdown > 1 && (jump.cycles == 0 || jump.level + 1 < levels_.size())) {
    const bool within = persisting();
    pace = {within ? base * slowdown : base, {}, true};
    jump = levels_.jump(position_, limit, (within ? std::min(until, persist_until_) : until) - now(), pace);
  }
  if (jump.cycles == 0) return false;
  levels_.jumped(jump, position_, now(), pace, storage_reachable());
  const Work from = position_;
  const Time begin = now();
  position_ += jump.work;
  charge_work(from, position_, jump.compute);
  charge(jump.blocked, Bucket::checkpoint);
  up_ += now() - begin;
  if (jump.level + 1 == levels_.size()) persist_until_ = now() + persist;
  result_.saves += jump.saves;
  return true;
}

void Run::compute(Work target, Time until) {
  const double slow = drag() * diurnal();
  const Work from = position_;
  Duration wall = scaled(target - from, slow);
  if (wall > until - now()) {
    wall = until - now();
    const auto done = slow == 1 ? wall.ns : static_cast<std::int64_t>(static_cast<double>(wall.ns) / slow);
    position_ = from + std::min(Work{done}, target - from);
  } else {
    position_ = target;
  }
  const Time begin = now();
  charge_work(from, position_, wall);
  up_ += now() - begin;
  if (position_ == target && position_ < total_) begin_save();
}

// A save at the slowest level that is due here, and at all faster ones; together they block for the sum.
void Run::begin_save() {
  const int due = levels_.due(position_);
  if (due < 0) return;
  saving_ = true;
  block_left_ = levels_.block(static_cast<std::size_t>(due));
  if (block_left_.ns == 0) finish_save();
}

void Run::finish_save() {
  saving_ = false;
  const auto due = static_cast<std::size_t>(levels_.due(position_));
  levels_.written(due, position_, now(), storage_reachable());
  if (due + 1 == levels_.size()) persist_until_ = now() + levels_.durable().persist;
  result_.saves += static_cast<std::int64_t>(due) + 1;
}

// Order of one instant: failures, then what was found, then what comes back.
void Run::meet_changes() {
  if (next_failure(true) <= now()) {
    if (auto trouble = strike(true)) recover(std::move(*trouble));
    return;
  }
  const auto due = [&](const auto& noticed) { return noticed.found <= now(); };
  if (const auto found = std::find_if(latent_.begin(), latent_.end(), due); found != latent_.end()) {
    const Trouble trouble{found->failure, Kind::found, found->onset, {}, -1};
    latent_.erase(found);
    return recover(trouble);
  }
  if (const auto slow = std::find_if(evictions_.begin(), evictions_.end(), due); slow != evictions_.end()) {
    const Eviction eviction = *slow;
    evictions_.erase(slow);
    if (!slow_.has(eviction.factor)) return;  // it went away by itself
    slow_.drop(eviction.factor);
    auto trouble = with_victims(eviction.failure, victims(input_.failures.classes[eviction.failure], scale(),
                                                          draws_[eviction.failure].victim));
    if (!trouble) return;
    trouble->kind = Kind::evict;
    return recover(std::move(*trouble));
  }
  slow_.drop_ended(now());
  rejoin_due();
}

// Saves at every level, then lasts its duration; the persist runs within the stop.
void Run::planned_stop() {
  stop_due_ = false;
  ++result_.planned;
  ++result_.interruptions_by_class[stop_class_];
  const FailureClass& failure = input_.failures.classes[stop_class_];
  const Duration length = to_clock(failure.duration);
  if (book_.recording()) book_.event({now(), stop_class_, "planned stop", -1, 0, {}, length});
  result_.lost_by_class[stop_class_] += length;
  if (auto trouble = spend(levels_.durable().block, Bucket::checkpoint, true))
    return recover(std::move(*trouble));
  levels_.written(levels_.size() - 1, position_, now(), storage_reachable());
  ++result_.saves;
  place_saves();
  if (auto trouble = spend(length, Bucket::planned, false)) recover(std::move(*trouble));
}

// The GPUs evaluate what was trained; a repeated stretch is not evaluated again.
void Run::evaluate() {
  evaluation_next_ += to_clock(input_.conditions.evaluation_interval);
  if (auto trouble = spend(to_clock(input_.conditions.evaluation), Bucket::planned, true))
    recover(std::move(*trouble));
}

void Run::finish() {
  const Duration last = levels_.durable().block + levels_.durable().persist;
  if (auto trouble = spend(last, Bucket::checkpoint, true)) return recover(std::move(*trouble));
  if (now() >= horizon_) return;
  ++result_.saves;
  done_ = true;
}

// ---- the door -------------------------------------------------------------------------------------------

Duration ideal_time(const StepTimes& steps) {
  Duration sum;
  for (const TrainingPhase& phase : steps.phases) sum += to_clock(phase.step_time) * phase.steps;
  return sum;
}

std::vector<std::string> problems(const RunInput& input) {
  std::vector<std::string> sentences = problems(input.checkpoint);
  double total = 0;
  for (const TrainingPhase& phase : input.steps.phases) {
    if (phase.steps < 1)
      sentences.emplace_back("a training phase has no steps; give it tokens for at least one step");
    if (!(phase.step_time.value > 0)) sentences.emplace_back("a training phase has a step time of 0");
    total += phase.step_time.value * static_cast<double>(phase.steps);
  }
  if (input.steps.phases.empty()) sentences.emplace_back("the run has no steps");
  constexpr double kLongest = 10 * 365.25 * kDay;  // 20 times it is still inside the clock's 292 years
  if (total > kLongest) sentences.emplace_back("the run takes more than 10 years even without failures");
  // They can strike a run that does not get on until it is given up.
  const double quiet = quiet_rate(input) * (input.window ? input.window->value : 20 * total + 30 * kDay);
  if (quiet > kMostQuietEvents)
    sentences.push_back(fmt::format(
        "failures of action planned, slow, stall, outage and corrupt strike {:.3g} times before a run is "
        "given up; lower their rates to 100,000 times in all",
        quiet));
  return sentences;
}

RunResult simulate_run(const RunInput& input, std::uint64_t seed, std::uint64_t trial, RunRecord* record) {
  return Run(input, seed, trial, record).simulate();
}

}  // namespace runcast
