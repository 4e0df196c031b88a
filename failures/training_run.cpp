// The state machine of one run; its rules stand in the header.
#include "failures/training_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <queue>

#include "failures/limits.hpp"
#include "failures/save_history.hpp"

namespace runcast {

namespace {

using Work = Duration;  // ns of normal step time

constexpr Work kEndless{kNever.ns / 4};
constexpr std::int64_t kReview = 10'000;  // events between two looks at whether the run gets anywhere

// A phase on the axis of work.
struct PhaseRow {
  Work begin, end, step;
  std::vector<double> pace;  // [k]: step time with k replicas lost over the normal one
};

// Nodes that stand by: the job is whole as soon as no more nodes are in repair than there are spares, that is when the
// (spares + 1)-th last of all returns has come. Only the latest returns are kept: the time does not grow with their number.
class SparePool {
 public:
  SparePool(Supply supply, std::int64_t spares) : endless_(supply == Supply::unlimited), spares_(spares) {}

  // A node leaves the job and is back among the spares at `back`.
  void repair_until(Time back) {
    if (endless_) return;
    latest_.push(back);
    if (std::ssize(latest_) > spares_ + 1) latest_.pop();
  }
  // When every node that was taken is there: now, or when enough repairs have ended.
  Time ready(Time now) const { return std::ssize(latest_) <= spares_ ? now : std::max(now, latest_.top()); }

 private:
  bool endless_;
  std::int64_t spares_;
  std::priority_queue<Time, std::vector<Time>, std::greater<>> latest_;  // earliest first
};

// The draws besides failure times: each class has its own streams, so that classes do not disturb one
// another.
struct ClassDraws {
  RandomStream victim, repair, restart, manual, survival, length;
  ClassDraws(std::uint64_t seed, std::uint64_t trial, std::uint64_t index)
      : victim(seed, Purpose::failure_victim, index, trial),
        repair(seed, Purpose::repair, index, trial),
        restart(seed, Purpose::restart, index, trial),
        manual(seed, Purpose::detection, index, trial),
        survival(seed, Purpose::sampling, index, trial),
        length(seed, Purpose::fail_slow, index, trial) {}
};

constexpr double kForever = static_cast<double>(kNever.ns / 8);  // 36 years: sums of a few stay on the clock

Duration scaled(Duration d, double factor) {
  if (factor == 1) return d;
  return {static_cast<std::int64_t>(std::min(kForever, std::ceil(static_cast<double>(d.ns) * factor)))};
}

RecoveryTimes scaled(const RecoveryTimes& t, double factor) {
  return {scaled(t.detect, factor),
          scaled(t.diagnose, factor),
          scaled(t.reschedule, factor),
          scaled(t.start, factor),
          scaled(t.initialize, factor),
          scaled(t.warm_up, factor),
          t.manual};
}

std::vector<PhaseRow> phase_rows(const RunInput& input) {
  std::vector<PhaseRow> rows;
  Work begin{};
  const std::int64_t replicas = input.scale.replicas;
  for (const TrainingPhase& phase : input.steps.phases) {
    PhaseRow row{begin, {}, to_clock(phase.step_time), {1}};
    row.end = begin + row.step * phase.steps;
    for (std::int64_t k = 1; k <= input.recovery.max_lost; ++k) {
      const auto i = static_cast<std::size_t>(k - 1);
      const double fewer = static_cast<double>(replicas) / static_cast<double>(replicas - k);
      row.pace.push_back(i < phase.with_lost.size() ? std::max(1.0, phase.with_lost[i] / phase.step_time)
                                                    : fewer / input.recovery.elastic_overhead);
    }
    begin = row.end;
    rows.push_back(std::move(row));
  }
  if (input.window) rows.back().end = kEndless;
  return rows;
}

class Run {
 public:
  Run(const RunInput& input, std::uint64_t seed, std::uint64_t trial, std::vector<RunSpan>* spans);
  RunResult simulate();

 private:
  struct Level {
    Duration block, persist, load;
    Work interval, next;  // next: position of the next save
    double covers;
    SaveHistory history;
  };
  struct Latent {  // silent corruption, not yet found
    Work onset;
    Time found;
    std::size_t failure;
  };
  struct Slow {
    Time end;
    double factor;
  };
  struct Trouble {  // what interrupts a run
    std::size_t failure = 0;
    std::optional<Work> onset;  // of a corruption that was found
  };

  // -- time and ledger
  void charge(Duration d, Bucket bucket);
  void charge_work(Work from, Work to, Duration wall);
  std::optional<Trouble> spend(Duration d, Bucket bucket, bool up);
  Time next_failure(bool up) const;
  std::optional<Trouble> strike(bool up);
  void slow_down(double factor, Time end);
  void give_up_when_hopeless();
  // -- training
  Time next_change() const;
  void advance(Time until);
  bool jump_cycles(Time until);
  void compute(Work target, Time until);
  void begin_save();
  void finish_save();
  void meet_changes();
  void planned_stop();
  void finish();
  double pace() const;
  const PhaseRow& phase_at(Work position) const;
  Work step_boundary(Work position) const;  // the first at or after
  Work step_begin(Work position) const;     // the last at or before
  void place_saves();
  // -- recovery
  void recover(Trouble trouble);
  std::optional<Trouble> recover_once(const Trouble& trouble);
  std::optional<Trouble> go_on_without_replica(const FailureClass& failure, ClassDraws& draws);
  Duration roll_back(const Trouble& trouble, const FailureClass& failure, ClassDraws& draws);
  void send_to_repair(const FailureClass& failure, ClassDraws& draws);
  void rejoin_due();

  const RunInput& input_;
  const RecoveryPlan& plan_;
  std::vector<PhaseRow> phases_;
  Work total_;
  Time horizon_;
  FailureProcess process_;
  std::vector<ClassDraws> draws_;
  SparePool pool_;
  std::vector<Level> levels_;
  std::vector<RunSpan>* spans_;

  Time now_{};
  Duration up_{};
  Work position_{}, furthest_{}, recompute_until_{};
  bool saving_ = false;
  Duration block_left_{};
  bool stop_due_ = false;
  std::size_t stop_class_ = 0;
  std::vector<Latent> latent_;
  std::vector<Slow> slow_;
  std::vector<Time> rejoins_;  // replicas that are out; unsorted, few
  std::int64_t events_ = 0;
  bool done_ = false;
  RunResult result_;
};

Run::Run(const RunInput& input, std::uint64_t seed, std::uint64_t trial, std::vector<RunSpan>* spans)
    : input_(input),
      plan_(input.recovery),
      phases_(phase_rows(input)),
      total_(phases_.back().end),
      process_(input.failures, input.scale, seed, trial),
      pool_(plan_.policy->supply, plan_.spares),
      spans_(spans) {
  const Duration give_up =
      total_ < kEndless ? total_ * 20 + to_clock(Seconds(30 * kDay)) : Duration{kNever.ns};
  horizon_ = Time{} + (input.window ? to_clock(*input.window) : give_up);
  for (std::size_t i = 0; i < input.failures.classes.size(); ++i) draws_.emplace_back(seed, trial, i);
  result_.events_by_class.resize(input.failures.classes.size());
  for (const CheckpointLevel& level : input.checkpoint.levels)
    levels_.push_back({to_clock(level.block),
                       to_clock(level.persist),
                       to_clock(plan_.load.value_or(level.load)),
                       to_clock(level.interval),
                       {},
                       level.covers,
                       {}});
  // The user's own load time is that of the durable level; memory copies keep theirs.
  for (std::size_t i = 0; i + 1 < levels_.size(); ++i)
    levels_[i].load = to_clock(input.checkpoint.levels[i].load);
  place_saves();
}

RunResult Run::simulate() {
  while (!done_) {
    if (now_ >= horizon_) break;
    if (!saving_ && position_ == total_) {
      finish();
    } else if (!saving_ && stop_due_ && step_begin(position_) == position_) {
      planned_stop();
    } else if (const Time until = next_change(); until > now_) {
      advance(until);
    } else {
      meet_changes();
    }
  }
  result_.wall = now_ - Time{};
  result_.finished = input_.window.has_value() || done_;
  Duration sum;
  for (const Duration d : result_.ledger) sum += d;
  INVARIANT(sum == result_.wall);
  return std::move(result_);
}

// ---- time and ledger ------------------------------------------------------------------------------------

// Books a stretch that begins now; the caller moves the clock only through here and charge_work().
void Run::charge(Duration d, Bucket bucket) {
  INVARIANT(d.ns >= 0);
  result_.ledger[static_cast<std::size_t>(bucket)] += d;
  if (spans_ && d.ns > 0) {
    if (!spans_->empty() && spans_->back().bucket == bucket && spans_->back().end == now_)
      spans_->back().end = now_ + d;
    else
      spans_->push_back({now_, now_ + d, bucket});
  }
  now_ += d;
}

// Work from one position to another took `wall` >= its normal time: what was done before is replay, the
// excess belongs to whoever slowed it.
void Run::charge_work(Work from, Work to, Duration wall) {
  const auto overlap = [&](Work low, Work high) {
    return std::max(Duration{}, std::min(to, high) - std::max(from, low));
  };
  const Duration again = overlap(Work{}, recompute_until_);
  const Duration corrupted = overlap(recompute_until_, furthest_);
  charge(again, Bucket::recomputed);
  charge(corrupted, Bucket::sdc);
  charge(to - from - again - corrupted, Bucket::useful);
  furthest_ = std::max(furthest_, to);
  const Duration excess = wall - (to - from);
  const double elastic = phase_at(from).pace[rejoins_.size()];
  const Duration by_loss =
      slow_.empty() ? excess : std::min(excess, scaled(to - from, elastic) - (to - from));
  charge(by_loss, Bucket::elastic_deficit);
  charge(excess - by_loss, Bucket::slow);
}

// The time of the next failure of either clock, if the job stays up (or down) until then.
Time Run::next_failure(bool up) const {
  Time next = Time{} + process_.next_on_wall().at;
  if (up) {
    const Duration on_up = process_.next_on_up().at;
    if (on_up.ns < kNever.ns - now_.ns) next = std::min(next, now_ + (on_up - up_));
  }
  return next;
}

// Of events that slow the job equally, the one that ends last decides.
void Run::slow_down(double factor, Time end) {
  const auto same =
      std::find_if(slow_.begin(), slow_.end(), [&](const Slow& s) { return s.factor == factor; });
  if (same == slow_.end())
    slow_.push_back({end, factor});
  else
    same->end = std::max(same->end, end);
}

// A run that keeps its pace so far and would have less than half of its work saved at the horizon ends here.
void Run::give_up_when_hopeless() {
  if (input_.window) return;
  Work kept = plan_.policy->survivors_continue ? position_ : Work{};
  for (const Level& level : levels_) kept = std::max(kept, level.history.newest());
  const double done = static_cast<double>(kept.ns) / static_cast<double>(total_.ns);
  const double gone = static_cast<double>(now_.ns) / static_cast<double>((horizon_ - Time{}).ns);
  if (done <= gone / 2) horizon_ = now_;
}

// Takes the failure that is due now. What interrupts is returned; what only changes the state is noted.
std::optional<Run::Trouble> Run::strike(bool up) {
  const bool on_wall = Time{} + process_.next_on_wall().at <= now_;
  const std::size_t index = on_wall ? process_.next_on_wall().failure : process_.next_on_up().failure;
  process_.take(index);
  ++result_.events_by_class[index];
  if (++events_ % kReview == 0) give_up_when_hopeless();
  const FailureClass& failure = input_.failures.classes[index];
  switch (failure.action) {
    case Action::planned:
      stop_due_ = true;
      stop_class_ = index;
      return std::nullopt;
    case Action::corrupt:
      if (up) latent_.push_back({position_, now_ + to_clock(*failure.detect), index});
      return std::nullopt;
    case Action::slow:
      slow_down(failure.slowdown,
                now_ + to_clock(Seconds(draws_[index].length.exponential(failure.duration.value))));
      return std::nullopt;
    case Action::swap:
    case Action::reset:
    case Action::retry:
      break;
  }
  // The victim may be a replica that is out already.
  if (!rejoins_.empty() && failure.domain != Domain::job &&
      draws_[index].victim.uniform() * static_cast<double>(input_.scale.replicas) <
          static_cast<double>(rejoins_.size()))
    return std::nullopt;
  return Trouble{index, std::nullopt};
}

// Lets `d` pass in one state; a failure before its end interrupts.
std::optional<Run::Trouble> Run::spend(Duration d, Bucket bucket, bool up) {
  const Time end = d < horizon_ - now_ ? now_ + d : horizon_;
  while (now_ < std::min(end, horizon_)) {
    const Time next = std::max(now_, next_failure(up));
    const Duration passed = std::min(next, end) - now_;
    charge(passed, bucket);
    if (up) up_ += passed;
    if (next >= end) break;
    if (const auto trouble = strike(up)) return trouble;
  }
  return std::nullopt;
}

// ---- training -------------------------------------------------------------------------------------------

const PhaseRow& Run::phase_at(Work position) const {
  std::size_t i = 0;
  while (i + 1 < phases_.size() && position >= phases_[i].end) ++i;
  return phases_[i];
}

Work Run::step_begin(Work position) const {
  const PhaseRow& phase = phase_at(position);
  return phase.begin + phase.step * ((position - phase.begin).ns / phase.step.ns);
}

Work Run::step_boundary(Work position) const {
  if (position >= total_) return total_;
  const Work begin = step_begin(position);
  return begin == position ? position : begin + phase_at(position).step;
}

double Run::pace() const {
  double slowest = 1;
  for (const Slow& slow : slow_) slowest = std::max(slowest, slow.factor);
  return phase_at(position_).pace[rejoins_.size()] * slowest;
}

// Each level's next save: an interval after its newest one, and never at once after a rollback.
void Run::place_saves() {
  for (Level& level : levels_)
    level.next =
        std::max(step_boundary(level.history.newest() + level.interval), step_boundary(position_ + Work{1}));
}

// The earliest instant at which anything but progress and saves happens.
Time Run::next_change() const {
  Time next = std::min(horizon_, next_failure(true));
  for (const Latent& latent : latent_) next = std::min(next, latent.found);
  for (const Slow& slow : slow_) next = std::min(next, slow.end);
  for (const Time back : rejoins_) next = std::min(next, back);
  return next;
}

void Run::advance(Time until) {
  while (now_ < until) {
    if (saving_) {
      const Duration d = std::min(block_left_, until - now_);
      charge(d, Bucket::checkpoint);
      up_ += d;
      block_left_ -= d;
      if (block_left_.ns > 0) return;
      finish_save();
      continue;
    }
    if (stop_due_ && step_begin(position_) == position_) return;
    if (position_ == total_) return;
    if (jump_cycles(until)) continue;
    Work target = std::min(total_, phase_at(position_).end);
    for (const Level& level : levels_) target = std::min(target, level.next);
    if (stop_due_) target = std::min(target, step_boundary(position_));
    compute(target, until);
  }
}

// Whole cycles of compute and save of the most frequent level, up to the next save of another level, the end
// of the phase, or `until`.
bool Run::jump_cycles(Time until) {
  Level& first = levels_.front();
  const PhaseRow& phase = phase_at(position_);
  const Work stride = phase.step * ((first.interval.ns + phase.step.ns - 1) / phase.step.ns);
  if (stop_due_ || stride.ns == 0 || first.next - position_ != stride) return false;
  Work limit = std::min(total_, phase.end);
  for (std::size_t i = 1; i < levels_.size(); ++i) limit = std::min(limit, levels_[i].next);
  const Duration wall = scaled(stride, pace());
  const Duration cycle = wall + first.block;
  const std::int64_t n = std::min((limit - position_ - Work{1}).ns / stride.ns, (until - now_).ns / cycle.ns);
  if (n < 2) return false;
  first.history.add(first.next, now_ + cycle + first.persist, n, stride, cycle);
  const Work from = position_;
  const Time begin = now_;
  position_ += stride * n;
  charge_work(from, position_, wall * n);
  charge(first.block * n, Bucket::checkpoint);
  up_ += now_ - begin;
  first.next = step_boundary(position_ + first.interval);
  result_.saves += n;
  return true;
}

void Run::compute(Work target, Time until) {
  const double slow = pace();
  const Work from = position_;
  Duration wall = scaled(target - from, slow);
  if (wall > until - now_) {
    wall = until - now_;
    const auto done = slow == 1 ? wall.ns : static_cast<std::int64_t>(static_cast<double>(wall.ns) / slow);
    position_ = from + std::min(Work{done}, target - from);
  } else {
    position_ = target;
  }
  const Time begin = now_;
  charge_work(from, position_, wall);
  up_ += now_ - begin;
  if (position_ == target && position_ < total_) begin_save();
}

// A save of every level that is due here; together they block for the sum.
void Run::begin_save() {
  for (const Level& level : levels_)
    if (level.next == position_) {
      saving_ = true;
      block_left_ += level.block;
    }
  if (saving_ && block_left_.ns == 0) finish_save();
}

void Run::finish_save() {
  saving_ = false;
  for (Level& level : levels_) {
    if (level.next != position_) continue;
    level.history.add(position_, now_ + level.persist);
    level.next = step_boundary(position_ + std::max(level.interval, Work{1}));
    ++result_.saves;
  }
}

// Order of one instant: failures, then what was found, then what comes back.
void Run::meet_changes() {
  if (next_failure(true) <= now_) {
    if (const auto trouble = strike(true)) recover(*trouble);
    return;
  }
  const auto found =
      std::find_if(latent_.begin(), latent_.end(), [&](const Latent& l) { return l.found <= now_; });
  if (found != latent_.end()) {
    const Trouble trouble{found->failure, found->onset};
    latent_.erase(found);
    recover(trouble);
    return;
  }
  std::erase_if(slow_, [&](const Slow& s) { return s.end <= now_; });
  rejoin_due();
}

// Saves at every level, then lasts its duration; the persist runs within the stop.
void Run::planned_stop() {
  stop_due_ = false;
  ++result_.planned;
  const Duration length = to_clock(input_.failures.classes[stop_class_].duration);
  if (const auto trouble = spend(levels_.back().block, Bucket::checkpoint, true)) return recover(*trouble);
  levels_.back().history.add(position_, now_ + levels_.back().persist);
  ++result_.saves;
  place_saves();
  if (const auto trouble = spend(length, Bucket::planned, false)) recover(*trouble);
}

void Run::finish() {
  const Duration last = levels_.back().block + levels_.back().persist;
  if (const auto trouble = spend(last, Bucket::checkpoint, true)) return recover(*trouble);
  if (now_ >= horizon_) return;
  ++result_.saves;
  done_ = true;
}

// ---- recovery -------------------------------------------------------------------------------------------

void Run::recover(Trouble trouble) {
  std::optional<Trouble> next = trouble;
  while (next && now_ < horizon_) next = recover_once(*next);
}

// One recovery from its first state; returns the failure that interrupted it.
std::optional<Run::Trouble> Run::recover_once(const Trouble& trouble) {
  const FailureClass& failure = input_.failures.classes[trouble.failure];
  ClassDraws& draws = draws_[trouble.failure];
  ++result_.unplanned;
  saving_ = false;
  block_left_ = {};
  const bool replica_lost =
      plan_.policy->survivors_continue && !trouble.onset && failure.domain != Domain::job;
  if (replica_lost && static_cast<std::int64_t>(rejoins_.size()) < plan_.max_lost)
    return go_on_without_replica(failure, draws);

  Incident incident;
  incident.load = roll_back(trouble, failure, draws);
  incident.swap = failure.action == Action::swap;
  if (incident.swap) send_to_repair(failure, draws);
  incident.spare_in = pool_.ready(now_) - now_;
  if (incident.spare_in.ns > 0)
    incident.swap = true;  // nodes of an earlier, interrupted recovery are still owed
  const double factor = plan_.spread > 0 ? draws.restart.lognormal(1, plan_.spread) : 1;
  const Duration detect = failure.detect ? to_clock(*failure.detect) : plan_.times.detect;
  incident.detect = trouble.onset ? Duration{} : scaled(detect, factor);
  incident.load = scaled(incident.load, factor);
  if (plan_.manual_probability > 0 && draws.manual.uniform() < plan_.manual_probability)
    incident.manual = plan_.times.manual;

  constexpr std::array<Bucket, kRecoveryStates> bucket_of{
      Bucket::detect,  Bucket::diagnose, Bucket::wait_for_spare, Bucket::restart,
      Bucket::restart, Bucket::restart,  Bucket::restart,        Bucket::restart};
  const Timeline timeline = plan_.policy->timeline(incident, scaled(plan_.times, factor));
  for (std::size_t state = 0; state < kRecoveryStates; ++state)
    if (const auto next = spend(timeline[state], bucket_of[state], false)) return next;
  std::erase_if(rejoins_, [&](Time back) { return back <= now_; });
  return std::nullopt;
}

// The last save that is durable, not corrupted, and whole after this event. Returns the time to load it.
Duration Run::roll_back(const Trouble& trouble, const FailureClass& failure, ClassDraws& draws) {
  const double luck = levels_.size() > 1 ? draws.survival.uniform() : 1;
  for (Level& level : levels_) {
    level.history.drop_unfinished(now_);
    if (trouble.onset) level.history.drop_after(*trouble.onset);
  }
  const Level* best = &levels_.back();
  for (std::size_t i = levels_.size() - 1; i-- > 0;) {
    const bool whole = failure.domain != Domain::group && luck < levels_[i].covers;
    if (whole && levels_[i].history.newest() >= best->history.newest()) best = &levels_[i];
  }
  const Work back = best->history.newest();
  for (Level& level : levels_) level.history.drop_after(back);
  if (!trouble.onset) recompute_until_ = std::max(recompute_until_, position_);
  position_ = back;
  // A corruption whose onset is undone is gone, unseen.
  std::erase_if(latent_, [&](const Latent& l) { return l.onset >= back; });
  place_saves();
  return best->load;
}

void Run::send_to_repair(const FailureClass& failure, ClassDraws& draws) {
  for (std::int64_t i = 0; i < failure.size; ++i)
    pool_.repair_until(now_ + to_clock(Seconds(draws.repair.exponential(failure.repair.value))));
}

// Elastic: state is whole on the other replicas, at most the current step is lost.
std::optional<Run::Trouble> Run::go_on_without_replica(const FailureClass& failure, ClassDraws& draws) {
  recompute_until_ = std::max(recompute_until_, position_);
  position_ = step_begin(position_);
  place_saves();
  Time back = now_;
  if (failure.action == Action::swap) {
    send_to_repair(failure, draws);
    back = pool_.ready(now_) + plan_.times.reschedule;
  }
  rejoins_.push_back(back + plan_.times.start + plan_.times.initialize);
  return spend(plan_.stall, Bucket::restart, false);
}

void Run::rejoin_due() {
  const auto due = std::find_if(rejoins_.begin(), rejoins_.end(), [&](Time back) { return back <= now_; });
  if (due == rejoins_.end()) return;
  rejoins_.erase(due);
  if (const auto trouble = spend(plan_.rejoin, Bucket::restart, false)) recover(*trouble);
}

// Events per second that do not stop the job when they strike: nothing but their number bounds the work of drawing them.
double quiet_rate(const RunInput& input) {
  double rate = 0;
  for (const FailureClass& failure : input.failures.classes)
    if (failure.action == Action::planned || failure.action == Action::slow ||
        failure.action == Action::corrupt)
      rate += system_rate(failure, input.scale).value;
  return rate;
}

}  // namespace

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
  const double quiet = quiet_rate(input) * (input.window ? input.window->value : total);
  if (quiet > kMostQuietEvents)
    sentences.push_back(
        fmt::format("failures of action planned, slow and corrupt strike {:.3g} times in the run; "
                    "lower their rates to 1,000,000 times in all",
                    quiet));
  return sentences;
}

RunResult simulate_run(const RunInput& input, std::uint64_t seed, std::uint64_t trial,
                       std::vector<RunSpan>* spans) {
  return Run(input, seed, trial, spans).simulate();
}

}  // namespace runcast
