// See the header.
#include "scenarios/run_experiment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <future>

#include "failures/availability.hpp"
#include "failures/limits.hpp"
#include "scenarios/figure_json.hpp"
#include "scenarios/gpu_activity.hpp"
#include "scenarios/run_cost.hpp"
#include "scenarios/slow_response.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kDefaultTrials = 200;  // the mean of days to about 0.1 % on a 54-day run
constexpr std::int64_t kStudyTrials = 40;     // of each point of a curve; the failures are the same at each
constexpr std::int64_t kHopelessTrials =
    4;  // likewise, of a run that never ends: each costs thousands of failures
constexpr std::int64_t kMostAutoTrials = 10'000;
constexpr double kAutoHalfWidth = 0.001;     // --trials auto: 95 % half-width over the mean
constexpr std::int64_t kBandTrials = 1'000;  // quantiles of 5 and 95 % to some hundredths of the spread
constexpr std::size_t kTimePoints = 24;

// Null where a figure is not known: of no trial, or the interval of a single one.
Json known_summary_json(const Summary& s) {
  return {{"mean", known(s.mean)}, {"ci95_low", known(s.ci95_low)}, {"ci95_high", known(s.ci95_high)},
          {"p5", known(s.p5)},     {"p50", known(s.p50)},           {"p95", known(s.p95)}};
}

// One value has no confidence interval: null, as any figure that is not known.
Json summary_json(const Summary& s) {
  return {{"mean", s.mean},
          {"ci95_low", known(s.ci95_low)},
          {"ci95_high", known(s.ci95_high)},
          {"p5", s.p5},
          {"p50", s.p50},
          {"p95", s.p95}};
}

MonteCarloOptions monte_carlo_options(const ExperimentOptions& options) {
  MonteCarloOptions mc;
  mc.seed = options.seed;
  mc.threads = options.threads;
  mc.trials = options.trials.value_or(options.automatic_trials ? kMostAutoTrials : kDefaultTrials);
  mc.relative_half_width = options.automatic_trials ? kAutoHalfWidth : 0;
  return mc;
}

MonteCarloOptions study_options(const ExperimentOptions& options) {
  MonteCarloOptions mc = monte_carlo_options(options);
  mc.trials = std::min(mc.trials, kStudyTrials);
  mc.relative_half_width = 0;
  return mc;
}

// Trials run on their own threads; this one tells how far they are.
RunSummary run_trials(const RunInput& in, const ExperimentOptions& options, TrialFigures* figures) {
  MonteCarloOptions mc = monte_carlo_options(options);
  if (!options.progress) return monte_carlo(in, mc, figures);
  std::atomic<std::int64_t> done{0};
  mc.progress = &done;
  std::future<RunSummary> future =
      std::async(std::launch::async, [&] { return monte_carlo(in, mc, figures); });
  while (future.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready)
    options.progress(done, mc.trials);
  return future.get();
}

Json checkpoint_json(const Scenario& s, const RunInput& in) {
  const CheckpointLevel& level = in.checkpoint.durable();
  const double rate = unplanned_rate(s.failures, in.scale).value;
  Json json = {{"interval_s", level.interval.value},
               {"block_s", level.block.value},
               {"persist_s", level.persist.value},
               {"bytes", in.checkpoint.bytes.value}};
  if (rate <= 0) return json;
  const Seconds mttf(1 / rate), restart = planned_restart(in.recovery, in.checkpoint);
  json["mttf_s"] = mttf.value;
  json["restart_s"] = restart.value;
  json["young_s"] = young_interval(level.block, mttf).value;
  json["daly_s"] = daly_interval(level.block, mttf).value;
  const Seconds best = async_optimal_interval(level.block, level.persist, mttf);
  json["optimum_s"] = best.value;
  Json curve = Json::array();
  for (const double k : {0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0, 8.0}) {
    const Seconds interval = best * k;
    curve.push_back({{"interval_s", interval.value},
                     {"goodput", async_goodput(interval, level.block, level.persist, restart, mttf)}});
  }
  json["curve"] = std::move(curve);
  return json;
}

Json causes_json(const RunSummary& result) {
  Json causes = Json::array();
  for (const ClassEvents& c : result.events)
    causes.push_back(
        {{"name", c.name}, {"interruptions", c.interruptions}, {"events", c.mean}, {"lost_s", c.lost.value}});
  return causes;
}

Json ledger_json(const RunSummary& result) {
  Json ledger;
  for (std::size_t b = 0; b < kBuckets; ++b) ledger[std::string(kBucketNames[b])] = result.ledger[b];
  return ledger;
}

Json repairs_json(const RunSummary& r) {
  return {{"automatic", r.fleet.automatic_repairs},
          {"manual", r.fleet.manual_repairs},
          {"false_fixes", r.fleet.false_fixes},
          {"retired", r.fleet.retired},
          {"suspects", r.fleet.suspects},
          {"selections", r.fleet.selections},
          {"borrowed", r.fleet.borrowed}};
}

// P(done by the date), P(within the money).
void add_goals(Json& run, const Scenario& s, const RunInput& in, const std::vector<RunPhase>& phases,
               const RunSummary& result, const TrialFigures& figures) {
  if (s.run.deadline)
    run["deadline"] = {{"days", in_days(*s.run.deadline)},
                       {"probability", probability_within(figures, *s.run.deadline)}};
  if (!s.run.budget || s.economics.gpu_hour.value <= 0) return;
  run["budget"] = {{"usd", s.run.budget->value},
                   {"probability", probability_within(s, in, phases, result, figures, *s.run.budget)}};
}

// Factors of the time of a step with one replica fewer, from the step model: n replicas do the work of n.
double fewer_replicas_ratio(const Scenario& s, Seconds step, std::uint64_t seed) {
  if (s.layout.data < 2 || s.nodes % s.layout.data != 0) return 1;
  Scenario fewer = s;
  fewer.nodes -= s.nodes / s.layout.data;
  fewer.layout.data -= 1;
  return to_seconds(step_of(fewer, seed, false).time) / step;
}

std::vector<std::int64_t> spare_counts(const RunInput& in) {
  std::vector<std::int64_t> counts{0};
  const std::int64_t known =
      std::max<std::int64_t>(recommended_spares(repaired_by(in.recovery.shop, in.failures), in.scale), in.recovery.spares);
  for (std::int64_t n = 1; n < 2 * known; n *= 2) counts.push_back(n);
  counts.push_back(known);
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

Json interval_curve_json(const RunInput& in, const MonteCarloOptions& mc) {
  const double rate = unplanned_rate(in.failures, in.scale).value;
  if (rate <= 0) return nullptr;
  const CheckpointLevel& level = in.checkpoint.durable();
  const Seconds guess =
      std::min(async_optimal_interval(level.block, level.persist, Seconds(1 / rate)), kLongestInterval / 8);
  std::vector<Seconds> intervals;
  for (const double k : {0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 8.0}) intervals.push_back(guess * k);
  Json curve = Json::array();
  for (const IntervalPoint& p : interval_curve(in, intervals, mc))
    curve.push_back({{"interval_s", p.interval.value},
                     {"goodput", p.goodput},
                     {"ci95_half_width", known(p.ci95_half_width)}});
  const Seconds best = optimal_interval(in, guess, mc);
  return {{"optimum_s", best.value},
          {"young_s", young_interval(level.block, Seconds(1 / rate)).value},
          {"daly_s", daly_interval(level.block, Seconds(1 / rate)).value},
          {"curve", std::move(curve)}};
}

}  // namespace

nlohmann::ordered_json trial_log(const RunInput& in, std::uint64_t seed, std::int64_t trial) {
  RunRecord record;
  simulate_run(in, seed, static_cast<std::uint64_t>(trial), &record);
  Json events = Json::array(), spans = Json::array();
  for (const RunEvent& e : record.events) {
    events.push_back({{"at_s", to_seconds(e.at).value},
                      {"cause", in.failures.classes[e.failure].name},
                      {"effect", e.effect},
                      {"node", e.node < 0 ? Json(nullptr) : Json(e.node)},
                      {"nodes", e.nodes},
                      {"lost_s", to_seconds(e.lost).value},
                      {"down_s", to_seconds(e.down).value}});
    if (e.spares >= 0) events.back()["spares"] = e.spares;
  }
  for (const RunSpan& span : record.spans)
    spans.push_back({{"begin_s", to_seconds(span.begin).value},
                     {"end_s", to_seconds(span.end).value},
                     {"bucket", kBucketNames[static_cast<std::size_t>(span.bucket)]}});
  return {{"trial", trial}, {"events", std::move(events)}, {"spans", std::move(spans)}};
}

std::vector<RunPhase> run_phases(const Scenario& s, const StepExperiment& main, std::uint64_t seed) {
  std::vector<RunPhase> phases;
  const auto add = [&](std::string name, double tokens, Scenario at, StepResult step) {
    const auto steps = static_cast<std::int64_t>(std::ceil(tokens / step.tokens));
    if (steps > 0) phases.push_back({std::move(name), tokens, steps, std::move(at), std::move(step)});
  };
  const auto add_specs = [&](bool last) {
    for (const PhaseSpec& spec : s.phases) {
      if (spec.last != last) continue;
      Scenario at = s.at_phase(spec);
      StepResult step = step_of(at, seed, false);
      add(spec.name, spec.tokens, std::move(at), std::move(step));
    }
  };
  add_specs(false);
  add(s.phases.empty() ? "training" : "main", s.main_tokens(), s, main.step);
  add_specs(true);
  return phases;
}

nlohmann::ordered_json phases_json(const std::vector<RunPhase>& phases) {
  Json rows = Json::array();
  double whole = 0;
  for (const RunPhase& p : phases) whole += p.time();
  for (const RunPhase& p : phases) {
    const Layout& layout = p.scenario.layout;
    Scenario alone = p.scenario;
    alone.phases.clear();
    const MemoryReport memory = memory_of(alone);
    rows.push_back({{"name", p.name},
                    {"tokens", p.tokens},
                    {"steps", p.steps},
                    {"global_batch", p.scenario.training.global_batch},
                    {"sequence_length", p.scenario.training.sequence_length},
                    {"gpus", layout.world()},
                    {"gpu_hours", p.time() / kHour * layout.world()},
                    {"tensor", layout.tensor},
                    {"context", layout.context},
                    {"pipeline", layout.pipeline},
                    {"data", layout.data},
                    {"micro_batches", p.scenario.microbatches},
                    {"step_s", to_seconds(p.step.time).value},
                    {"mfu", p.step.mfu},
                    {"ideal_days", p.time() / kDay},
                    {"share_of_days", p.time() / whole},
                    {"peak_gib", in_gib(memory.peak)},
                    {"fits", memory.fits}});
  }
  return rows;
}

StepTimes step_times(const Scenario& s, const StepExperiment& main, std::uint64_t seed) {
  return step_times(s, run_phases(s, main, seed), seed);
}

StepTimes step_times(const Scenario& s, const std::vector<RunPhase>& phases, std::uint64_t seed) {
  StepTimes times;
  for (const RunPhase& p : phases)
    times.phases.push_back({p.steps, to_seconds(p.step.time), {}, p.scenario.job_scale().nodes});
  const RecoveryPolicy* policy = find_recovery_policy(s.recovery.policy);
  if (policy == nullptr || policy->survivors != Survivors::go_on_slower || times.phases.empty()) return times;
  const double ratio =
      fewer_replicas_ratio(s, to_seconds(step_of(s, seed, false).time), seed) / s.recovery.elastic_overhead;
  for (std::size_t i = 0; i < phases.size(); ++i) {
    const std::int64_t replicas = phases[i].scenario.layout.data;
    const std::int64_t most = std::min(s.recovery.max_lost.value_or(s.layout.data / 2), replicas - 1);
    TrainingPhase& phase = times.phases[i];
    for (std::int64_t k = 1; k <= most; ++k)
      phase.with_lost.push_back(phase.step_time *
                                (ratio * static_cast<double>(replicas) / static_cast<double>(replicas - k)));
  }
  return times;
}

namespace {

RunInput input_with(const Scenario& s, const StepTimes& steps, FailureModel failures,
                    const ExperimentOptions& options) {
  const bool fallback = s.economics.capacity == Capacity::spot && s.economics.spot.fallback;
  RunInput in;
  in.steps = steps;
  in.scale = s.job_scale();
  in.failures = std::move(failures);
  in.checkpoint = with_memory_level(resolve(s.checkpoint, in.scale, unplanned_rate(in.failures, in.scale)),
                                    s.recovery, in.scale);
  // On demand there is always another node, a cold one: spares need not stand by for those that are taken back.
  in.recovery = resolve(s.recovery, in.scale, fallback ? without_preemption(in.failures) : in.failures);
  in.recovery.on_demand = fallback;
  in.conditions = s.run.conditions;
  const std::vector<std::string> saves = problems(in.checkpoint), wrong = problems(in);
  if (!wrong.empty())
    throw ConfigError(fmt::format("{}: the run cannot be simulated: {}",
                                  saves.empty() ? s.places.tokens : s.places.checkpoint,
                                  fmt::join(wrong, "; ")));
  if (s.checkpoint.rule == IntervalRule::optimal && unplanned_rate(in.failures, in.scale).value > 0)
    in.checkpoint.levels.back().interval =
        optimal_interval(in, in.checkpoint.durable().interval, study_options(options));
  return in;
}

// The scenario with capacity on demand: no node is taken back, and spares and saves are for what is left.
OnDemandRun on_demand_run(const Scenario& s, const RunInput& in, const ExperimentOptions& options) {
  Scenario other = s;
  other.economics.capacity = Capacity::on_demand;
  OnDemandRun run{input_with(other, in.steps, without_preemption(in.failures), options), {}};
  run.result = monte_carlo(run.input, monte_carlo_options(options));
  return run;
}

}  // namespace

RunInput run_input(const Scenario& s, const StepTimes& steps, const StepExperiment& step,
                   const ExperimentOptions& options) {
  return input_with(s, steps, with_slow_responses(s, to_seconds(step.step.time), options.seed), options);
}

RunOutcome run_outcome(const Scenario& s, const RunInput& in, const std::vector<RunPhase>& phases,
                       const ExperimentOptions& options) {
  TrialFigures figures;
  const RunSummary result = run_trials(in, options, &figures);
  RunOutcome out;
  out.finishes = result.unfinished < result.trials;
  out.run = {{"ideal_days", result.ideal_days},
             {"days", summary_json(result.days)},
             {"goodput", summary_json(result.goodput)},
             {"interruptions", summary_json(result.interruptions)},
             {"ledger", ledger_json(result)},
             {"trials", result.trials},
             {"unfinished", result.unfinished},
             {"causes", causes_json(result)},
             {"first_failure_h", known_summary_json(result.first_failure_hours)},
             {"waits", {{"mean", result.waits}, {"mean_wait_s", result.mean_wait.value}}},
             {"repairs", repairs_json(result)},
             {"spares", in.recovery.spares},
             {"gpus", s.layout.world()},
             {"checkpoint", checkpoint_json(s, in)}};
  add_goals(out.run, s, in, phases, result, figures);
  Json warned = Json::array();
  for (const std::string& sentence : warnings(in.recovery, in.failures, in.scale)) warned.push_back(sentence);
  if (!warned.empty()) out.run["warnings"] = std::move(warned);
  std::optional<OnDemandRun> other;
  if (s.economics.capacity == Capacity::spot && std::isfinite(result.days.mean))
    other = on_demand_run(s, in, options);
  out.cost = cost_json(s, in, phases, result, other ? &*other : nullptr);
  return out;
}

nlohmann::ordered_json run_studies(const Scenario& s, const RunInput& in, const std::vector<RunPhase>& phases,
                                   bool finishes, const ExperimentOptions& options) {
  MonteCarloOptions mc = study_options(options);
  if (!finishes) mc.trials = std::min(mc.trials, kHopelessTrials);
  Json studies = {{"trials", mc.trials}};
  if (Json curve = interval_curve_json(in, mc); !curve.is_null()) studies["interval"] = std::move(curve);
  if (in.recovery.policy->supply == Supply::spares && swap_rate(in.failures, in.scale).value > 0) {
    Json curve = Json::array();
    for (const SparePoint& p : spare_curve(in, spare_counts(in), mc))
      curve.push_back({{"spares", p.spares},
                       {"goodput", p.goodput},
                       {"ci95_half_width", known(p.ci95_half_width)},
                       {"waiting", p.waiting}});
    studies["spares"] = std::move(curve);
  }
  const std::array<double, 3> in_step = shares_in_step(phases);
  Json time = Json::array();
  for (const TimePoint& p : over_time(in, kTimePoints, mc))
    time.push_back({{"day", in_days(p.at)},
                    {"goodput", p.goodput},
                    {"done_p5", p.done_p5},
                    {"done_p50", p.done_p50},
                    {"done_p95", p.done_p95},
                    {"gpu_states", states_json(state_shares(in_step, p.ledger))}});
  studies["over_time"] = std::move(time);
  const bool uncertain = std::any_of(s.failures.classes.begin(), s.failures.classes.end(),
                                     [](const FailureClass& failure) { return failure.observed > 0; });
  if (uncertain) {
    RunInput drawn = in;
    drawn.uncertain_rates = true;
    MonteCarloOptions band_options = monte_carlo_options(options);
    band_options.trials = std::min(band_options.trials, kBandTrials);
    const RunSummary band = monte_carlo(drawn, band_options);
    studies["uncertain_rates"] = {{"days", summary_json(band.days)},
                                  {"goodput", summary_json(band.goodput)},
                                  {"interruptions", summary_json(band.interruptions)}};
  }
  if (options.log_trial) studies["log"] = trial_log(in, options.seed, *options.log_trial);
  return studies;
}

nlohmann::ordered_json comparison(const std::vector<RunAlternative>& alternatives,
                                  const ExperimentOptions& options) {
  Json rows = Json::array();
  TrialFigures base;
  for (const RunAlternative& alternative : alternatives) {
    TrialFigures figures;
    const RunSummary result = run_trials(alternative.input, options, &figures);
    Json row = {{"value", alternative.name},
                {"days", summary_json(result.days)},
                {"goodput", summary_json(result.goodput)},
                {"interruptions", summary_json(result.interruptions)},
                {"ledger", ledger_json(result)},
                {"trials", result.trials},
                {"unfinished", result.unfinished}};
    if (rows.empty()) {
      base = figures;
    } else {
      const PairedDifference difference = paired_difference(base, figures);
      row["difference"] = {{"days", known_summary_json(difference.days)},
                           {"goodput", summary_json(difference.goodput)},
                           {"pairs", difference.goodput.n}};
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace runcast
