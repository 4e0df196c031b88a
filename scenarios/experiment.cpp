// Builds cluster, step, memory and run from a scenario, and writes what they say as JSON.
#include "scenarios/experiment.hpp"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <future>
#include <nlohmann/json.hpp>

#include "failures/monte_carlo.hpp"
#include "scenarios/prediction.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kDefaultTrials = 200;  // the mean of days to about 0.1 % on a 54-day run

double seconds(Duration d) { return to_seconds(d).value; }

// ---- step ---------------------------------------------------------------------------------------------------

Json memory_json(const MemoryReport& m) {
  Json stages = Json::array();
  for (const StageMemory& s : m.stages)
    stages.push_back({{"stage", s.stage},
                      {"weights_gib", in_gib(s.weights)},
                      {"gradients_gib", in_gib(s.gradients)},
                      {"optimizer_gib", in_gib(s.optimizer)},
                      {"activations_gib", in_gib(s.activations)},
                      {"buffers_gib", in_gib(s.buffers)},
                      {"total_gib", in_gib(s.total())},
                      {"chunks_in_flight", s.chunks_in_flight}});
  return {{"capacity_gib", in_gib(m.capacity)}, {"peak_gib", in_gib(m.peak)}, {"fits", m.fits},
          {"peak_stage", m.peak_stage},         {"reason", m.verdict},        {"stages", std::move(stages)}};
}

Json communication_json(const StepResult& r) {
  Json list = Json::array();
  for (const CommunicationTotal& c : r.communication)
    list.push_back({{"group", c.group},
                    {"collective", c.collective},
                    {"count", c.count},
                    {"bytes_per_rank", c.bytes_per_rank.value},
                    {"time_s", c.time.value},
                    {"exposed_s", c.exposed.value}});
  return list;
}

Json step_json(const Scenario& s, const StepExperiment& e) {
  const StepResult& r = e.step;
  return {{"time_s", seconds(r.time)},
          {"tokens_per_s_per_gpu", r.tokens_per_s_per_gpu},
          {"model_tflops_per_gpu", r.model_rate_per_gpu.value / kTera},
          {"mfu", r.mfu},
          {"hfu", r.hfu},
          {"bubble_fraction", r.bubble_fraction},
          {"bubble_over_ideal", r.bubble_over_ideal},
          {"gpus", s.layout.world()},
          {"micro_batches", s.microbatches},
          {"tokens", r.tokens},
          {"last_stage", r.last_rank},
          {"communication", communication_json(r)},
          {"breakdown_s", breakdown_json(r.breakdown)},
          {"memory", memory_json(e.memory)}};
}

// Where the real figures may lie; null ends when the library holds no measured steps.
Json interval_json(const StepResult& r, const PredictionInterval& p) {
  const double time = seconds(r.time);
  return {{"level", kIntervalLevel},
          {"time_low_s", time * p.low},
          {"time_high_s", time * p.high},
          {"mfu_low", r.mfu / p.high},
          {"mfu_high", r.mfu / p.low},
          {"measured_steps", p.rows},
          {"like", p.like},
          {"warning", p.warning}};
}

// Days and dollars follow the step; the failures' own spread is in run.days.
void add_intervals(Json& json, const StepExperiment& e, const PredictionInterval& p) {
  if (p.rows == 0) return;
  json["step"]["prediction"] = interval_json(e.step, p);
  if (!json.contains("run")) return;
  const double days = json["run"]["days"]["mean"].get<double>();
  json["run"]["prediction"] = {
      {"level", kIntervalLevel}, {"days_low", days * p.low}, {"days_high", days * p.high}};
  if (!json["cost"]["usd"].is_number()) return;
  const double usd = json["cost"]["usd"].get<double>();
  json["cost"]["prediction"] = {
      {"level", kIntervalLevel}, {"usd_low", usd * p.low}, {"usd_high", usd * p.high}};
}

// ---- run ----------------------------------------------------------------------------------------------------

Json summary_json(const Summary& s) {
  return {{"mean", s.mean}, {"ci95_low", s.ci95_low}, {"ci95_high", s.ci95_high},
          {"p5", s.p5},     {"p50", s.p50},           {"p95", s.p95}};
}

StepTimes step_times(const Scenario& s, const StepExperiment& main, std::uint64_t seed) {
  StepTimes times;
  double left = s.training.tokens;
  auto add = [&](double tokens, const StepResult& step) {
    const auto steps = static_cast<std::int64_t>(std::ceil(tokens / step.tokens));
    if (steps > 0) times.phases.push_back({steps, to_seconds(step.time), {}});
  };
  for (const PhaseSpec& phase : s.phases) {
    add(phase.tokens, simulate(s.at_phase(phase), seed).step);
    left -= phase.tokens;
  }
  add(left, main.step);
  return times;
}

RunInput run_input(const Scenario& s, const StepTimes& steps) {
  RunInput in;
  in.steps = steps;
  in.scale = s.job_scale();
  in.failures = s.failures;
  in.checkpoint =
      with_memory_level(resolve(s.checkpoint, in.scale, unplanned_rate(s.failures, in.scale)), s.recovery,
                        in.scale);
  in.recovery = resolve(s.recovery, in.scale, s.failures);
  const std::vector<std::string> wrong = problems(in);
  if (!wrong.empty())
    throw ConfigError(fmt::format("{}: the run cannot be simulated: {}", s.name, fmt::join(wrong, "; ")));
  return in;
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
  for (const ClassEvents& c : result.events) causes.push_back({{"name", c.name}, {"interruptions", c.mean}});
  return causes;
}

// Trials run on their own threads; this one tells how far they are.
RunSummary run_trials(const RunInput& in, const ExperimentOptions& options) {
  MonteCarloOptions mc;
  mc.seed = options.seed;
  mc.threads = options.threads;
  mc.trials = options.trials.value_or(kDefaultTrials);
  if (!options.progress) return monte_carlo(in, mc);
  std::atomic<std::int64_t> done{0};
  mc.progress = &done;
  std::future<RunSummary> future = std::async(std::launch::async, [&] { return monte_carlo(in, mc); });
  while (future.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready)
    options.progress(done, mc.trials);
  return future.get();
}

struct RunOutcome {
  Json run, cost;
};

RunOutcome run_outcome(const Scenario& s, const StepExperiment& step, const ExperimentOptions& options) {
  const RunInput in = run_input(s, step_times(s, step, options.seed));
  const RunSummary result = run_trials(in, options);
  Json ledger;
  for (std::size_t b = 0; b < kBuckets; ++b) ledger[std::string(kBucketNames[b])] = result.ledger[b];
  RunOutcome out;
  out.run = {{"ideal_days", result.ideal_days},
             {"days", summary_json(result.days)},
             {"goodput", summary_json(result.goodput)},
             {"interruptions", summary_json(result.interruptions)},
             {"ledger", std::move(ledger)},
             {"trials", result.trials},
             {"unfinished", result.unfinished},
             {"causes", causes_json(result)},
             {"gpus", s.layout.world()},
             {"checkpoint", checkpoint_json(s, in)}};
  const double spares =
      in.recovery.policy->supply == Supply::spares ? static_cast<double>(in.recovery.spares) : 0;
  const RunCost cost =
      cost_of(s.economics, s.node, s.layout.world(), spares, Seconds(result.days.mean * kDay));
  const bool priced = s.economics.gpu_hour.value > 0;
  out.cost = {{"usd", priced ? Json(cost.dollars.value) : Json(nullptr)},
              {"gpu_hours", cost.gpu_hours},
              {"energy_mwh", cost.energy.value / 3.6e9},
              {"co2e_t", cost.co2e_kg / 1000},
              {"spare_gpu_hours", cost.spare_gpu_hours},
              {"spare_usd", priced ? Json(cost.spare_dollars.value) : Json(nullptr)},
              {"usd_per_gpu_hour", s.economics.gpu_hour.value}};
  return out;
}

// ---- the document -------------------------------------------------------------------------------------------

// FNV-1a of the resolved scenario: equal hashes mean equal inputs.
std::string hash_of(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

Json open_document(const Document& document) {
  return {{"schema_version", 1}, {"scenario", document.resolved()}};
}

void close_document(Json& json, const Scenario& s, const StepExperiment& e,
                    const ExperimentOptions& options) {
  Json assumptions = Json::array();
  for (const auto* list : {&s.assumptions, &e.step.assumptions, &e.memory.assumptions})
    for (const std::string& line : *list) assumptions.push_back(line);
  json["provenance"] = {{"version", RUNCAST_VERSION},
                        {"seed", options.seed},
                        {"scenario_hash", hash_of(json["scenario"].dump())},
                        {"assumptions", std::move(assumptions)}};
}

}  // namespace

nlohmann::ordered_json breakdown_json(const StepBreakdown& b) {
  return {{"compute", seconds(b.compute)},
          {"tensor_exposed", seconds(b.tensor_exposed)},
          {"context_exposed", seconds(b.context_exposed)},
          {"expert_exposed", seconds(b.expert_exposed)},
          {"pipeline_exposed", seconds(b.pipeline_exposed)},
          {"data_exposed", seconds(b.data_exposed)},
          {"bubble", seconds(b.bubble)},
          {"optimizer", seconds(b.optimizer)},
          {"data_loading", seconds(b.data_loading)},
          {"other", seconds(b.other)}};
}

StepResult step_of(const Scenario& s, std::uint64_t seed, bool attribute_transfers) {
  const Fabric fabric(s.node, s.nodes, s.fabric);
  const Network network(fabric, s.place(seed));
  StepInput in;
  in.model = &s.model;
  in.layout = &s.layout;
  in.training = &s.training;
  in.schedule = &s.schedule;
  in.profile = &s.software;
  in.network = &network;
  in.microbatches = s.microbatches;
  in.attribute_transfers = attribute_transfers;
  return simulate_step(in);
}

MemoryReport memory_of(const Scenario& s) {
  const PipelineSchedule schedule = s.schedule.row->build(s.schedule.request(s.layout, s.microbatches));
  return memory_of(s.model, s.layout, s.training, s.schedule, s.software, schedule, s.node.gpu);
}

StepExperiment simulate(const Scenario& s, std::uint64_t seed) {
  return {step_of(s, seed, true), memory_of(s)};
}

nlohmann::ordered_json step_document(Document document, const Library& library,
                                     const ExperimentOptions& options) {
  const Scenario s = read_scenario(document, library);
  const StepExperiment e = simulate(s, options.seed);
  Json json = open_document(document);
  json["step"] = step_json(s, e);
  add_intervals(json, e, prediction_interval(s, read_residuals(library)));
  close_document(json, s, e, options);
  return json;
}

nlohmann::ordered_json memory_document(Document document, const Library& library,
                                       const ExperimentOptions& options) {
  const Scenario s = read_scenario(document, library);
  const StepExperiment e{{}, memory_of(s)};  // no step is simulated to count bytes
  Json json = open_document(document);
  json["step"]["memory"] = memory_json(e.memory);
  close_document(json, s, e, options);
  return json;
}

nlohmann::ordered_json run_document(Document document, const Library& library,
                                    const ExperimentOptions& options) {
  const Scenario s = read_scenario(document, library);
  const StepExperiment e = simulate(s, options.seed);
  Json json = open_document(document);
  json["step"] = step_json(s, e);
  RunOutcome outcome = run_outcome(s, e, options);
  json["run"] = std::move(outcome.run);
  json["cost"] = std::move(outcome.cost);
  add_intervals(json, e, prediction_interval(s, read_residuals(library)));
  close_document(json, s, e, options);
  return json;
}

nlohmann::ordered_json goodput_document(Document document, const Library& library,
                                        const ExperimentOptions& options) {
  Json json = run_document(std::move(document), library, options);
  json["step"] = {
      {"time_s", json["step"]["time_s"]},
      {"memory", {{"fits", json["step"]["memory"]["fits"]}, {"reason", json["step"]["memory"]["reason"]}}}};
  return json;
}

}  // namespace runcast
