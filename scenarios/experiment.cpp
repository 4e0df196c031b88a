// Builds cluster, step, memory and run from a scenario, and writes what they say as JSON.
#include "scenarios/experiment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "parallelism/kind_traffic.hpp"
#include "scenarios/gpu_activity.hpp"
#include "scenarios/limits.hpp"
#include "scenarios/prediction.hpp"
#include "scenarios/provenance.hpp"
#include "scenarios/run_experiment.hpp"
#include "scenarios/scenario_source.hpp"
#include "scenarios/sensitivity.hpp"
#include "scenarios/unfolded_document.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

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

// What the loader can deliver against what a step asks.
Json loading_json(const Scenario& s, const StepResult& r) {
  const DataLoading& loader = s.training.data_loading;
  const double batch = static_cast<double>(s.training.global_batch), step = seconds(r.time);
  const LoadingTime time = loading_time(loader, batch, s.layout.data);
  const Seconds fed(step - seconds(r.breakdown.data_loading));
  const bool starves = r.breakdown.data_loading.ns > 0;
  return {{"workers_s", time.workers.value},
          {"storage_s", time.storage.value},
          {"bound", !starves                      ? "none"
                    : time.workers < time.storage ? "storage"
                                                  : "workers"},
          {"samples_per_s", batch / step},
          {"gpu_utilization", fed.value / step},
          {"enough_workers", enough_workers(loader, batch, s.layout.data, fed)}};
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
          {"data_loading", loading_json(s, r)},
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

// ---- the document -------------------------------------------------------------------------------------------

Json open_document(const Document& document) {
  return {{"schema_version", 1}, {"scenario", document.resolved()}};
}

void close_document(Json& json, const Scenario& s, const StepExperiment& e,
                    const ExperimentOptions& options) {
  Json assumptions = Json::array();
  for (const auto* list : {&s.assumptions, &e.step.assumptions, &e.memory.assumptions})
    for (const std::string& line : *list) assumptions.push_back(line);
  if (json.contains("cost"))
    for (const std::string& line : s.economics.assumptions) assumptions.push_back(line);
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

namespace {

StepInput input_of(const Scenario& s, const Network& network, bool attribute_transfers) {
  StepInput in;
  in.model = &s.model;
  in.layout = &s.layout;
  in.training = &s.training;
  in.schedule = &s.schedule;
  in.profile = &s.software;
  in.network = &network;
  in.microbatches = s.microbatches;
  in.attribute_transfers = attribute_transfers;
  return in;
}

// The scenario's network. With flows, its kinds of groups contend as busy as they are in a step without that.
Network network_of(const Scenario& s, const Fabric& fabric, std::uint64_t seed) {
  Network network(fabric, s.place(seed), s.network);
  if (s.network != Fidelity::flow) return network;
  const StepResult alone = simulate_step(input_of(s, network, false));
  return Network(fabric, s.place(seed), s.network, kind_traffic(network, s.layout, alone));
}

// Calls `use` with the network and with what the faults make of the ranks.
template <class Use>
auto on_all_ranks(const Scenario& s, std::uint64_t seed, Use use) {
  const Fabric fabric(s.node, s.nodes, s.fabric);
  const Network network = network_of(s, fabric, seed);
  RankConditions conditions = rank_conditions(s.faults, s.layout, network.placement(), fabric, seed);
  Fabric broken(s.node, s.nodes, s.fabric);
  const bool degraded = names_links(s.faults);
  if (degraded) conditions.touched = degrade_links(s.faults, broken);
  const Network slower(broken, s.place(seed), s.network, network.beside());
  if (degraded) conditions.degraded = &slower;
  return use(network, conditions);
}

UnfoldedResult unfolded(const Scenario& s, std::uint64_t seed, bool attribute_transfers, bool explained) {
  return on_all_ranks(s, seed, [&](const Network& network, const RankConditions& conditions) {
    return simulate_unfolded(input_of(s, network, attribute_transfers), conditions, seed, explained);
  });
}

MemoryReport main_memory(const Scenario& s) {
  const PipelineSchedule schedule = s.schedule.row->build(s.schedule.request(s.layout, s.microbatches));
  return memory_of(s.model, s.layout, s.training, s.schedule, s.software, schedule, s.node.gpu);
}

}  // namespace

StepResult step_of(const Scenario& s, std::uint64_t seed, bool attribute_transfers) {
  if (!s.faults.empty()) return unfolded(s, seed, attribute_transfers, false).step;
  const Fabric fabric(s.node, s.nodes, s.fabric);
  const Network network = network_of(s, fabric, seed);
  return simulate_step(input_of(s, network, attribute_transfers));
}

StepTimeline timeline_of(const Scenario& s, std::uint64_t seed, bool all_ranks, TimelineLevel level) {
  const MemoryReport memory = main_memory(s);
  if (all_ranks || !s.faults.empty())
    return on_all_ranks(s, seed, [&](const Network& network, const RankConditions& conditions) {
      return StepTimeline(input_of(s, network, true), &conditions, seed, memory, level);
    });
  const Fabric fabric(s.node, s.nodes, s.fabric);
  const Network network = network_of(s, fabric, seed);
  return StepTimeline(input_of(s, network, true), nullptr, seed, memory, level);
}

UnfoldedResult unfolded_step_of(const Scenario& s, std::uint64_t seed, bool explained) {
  return unfolded(s, seed, true, explained);
}

// The fullest of the main training and its phases: a phase of longer sequences must fit too.
MemoryReport memory_of(const Scenario& s) {
  MemoryReport fullest = main_memory(s);
  for (std::size_t i = 0; i < s.phases.size(); ++i) {
    MemoryReport report = main_memory(s.at_phase(s.phases[i]));
    if (report.peak <= fullest.peak) continue;
    fullest = std::move(report);
    const std::string phase = fmt::format("phase {} ({} sequences of {} tokens)", i + 1,
                                          s.phases[i].global_batch, s.phases[i].sequence_length);
    if (!fullest.fits) fullest.verdict = phase + " " + fullest.verdict;
    fullest.assumptions.push_back("memory is that of the fullest " + phase);
  }
  return fullest;
}

StepExperiment simulate(const Scenario& s, std::uint64_t seed, StepDetail detail) {
  StepExperiment e{{}, memory_of(s), std::nullopt, nullptr};
  if (detail.explained || !s.faults.empty()) {
    on_all_ranks(s, seed, [&](const Network& network, const RankConditions& conditions) {
      const StepInput in = input_of(s, network, true);
      e.unfolded = simulate_unfolded(in, conditions, seed, detail.explained);
      if (detail.timeline)
        e.timeline = std::make_shared<StepTimeline>(in, main_memory(s), conditions, seed, *e.unfolded);
    });
    e.step = e.unfolded->step;
    return e;
  }
  const Fabric fabric(s.node, s.nodes, s.fabric);
  const Network network = network_of(s, fabric, seed);
  StepInput in = input_of(s, network, true);
  in.keep_data_spans = detail.timeline;
  e.step = simulate_step(in);
  if (detail.timeline) e.timeline = std::make_shared<StepTimeline>(in, main_memory(s), e.step);
  return e;
}

namespace {

void add_activity(Json& json, const StepExperiment& e) {
  if (e.timeline) json["step"]["gpu_activity"] = step_activity_json(*e.timeline);
}

// What the real run took, beside what is simulated.
Json published_json(const PublishedRun& p, const Json& json) {
  Json figures = Json::array();
  const auto add = [&](const char* figure, double published, const Json& simulated) {
    if (published <= 0) return;
    figures.push_back(
        {{"figure", figure},
         {"published", published},
         {"simulated", simulated},
         {"ratio", simulated.is_number() ? Json(simulated.get<double>() / published) : Json(nullptr)}});
  };
  add("days", p.days, json["run"]["days"]["mean"]);
  add("gpu_hours", p.gpu_hours, json["cost"]["gpu_hours"]);
  add("energy_mwh", p.energy_mwh, json["cost"]["energy_mwh"]);
  add("co2e_t", p.co2e_t, json["cost"]["co2e_t"]);
  return {{"source", p.source}, {"figures", std::move(figures)}, {"differs", p.differs}};
}

}  // namespace

nlohmann::ordered_json step_document(Document document, const Library& library,
                                     const ExperimentOptions& options) {
  const Scenario s = read_scenario(document, library);
  const bool all_ranks = options.unfolded || !s.faults.empty();
  if (const std::string why = too_many_clocks(s, read_limits(document.root())); all_ranks && !why.empty())
    throw ConfigError(why);
  const StepExperiment e = simulate(s, options.seed, {.explained = all_ranks, .timeline = options.activity});
  Json json = open_document(document);
  json["step"] = step_json(s, e);
  add_activity(json, e);
  if (all_ranks) json["step"]["unfolded"] = unfolded_json(s.layout, *e.unfolded);
  add_intervals(json, e, prediction_interval(s, read_residuals(library)));
  close_document(json, s, e, options);
  return json;
}

nlohmann::ordered_json memory_document(Document document, const Library& library,
                                       const ExperimentOptions& options) {
  const Scenario s = read_scenario(document, library);
  const StepExperiment e{{}, memory_of(s), std::nullopt, nullptr};  // no step is simulated to count bytes
  Json json = open_document(document);
  json["step"]["memory"] = memory_json(e.memory);
  close_document(json, s, e, options);
  return json;
}

nlohmann::ordered_json run_document(Document document, const Library& library,
                                    const ExperimentOptions& options) {
  const Scenario s = read_scenario(document, library);
  const StepExperiment e = simulate(s, options.seed, {.timeline = options.activity});
  Json json = open_document(document);
  json["step"] = step_json(s, e);
  add_activity(json, e);
  const std::vector<RunPhase> phases = run_phases(s, e, options.seed);
  const RunInput in = run_input(s, step_times(s, phases, options.seed), e, options);
  RunOutcome outcome = run_outcome(s, in, phases, options);
  json["run"] = std::move(outcome.run);
  if (!s.phases.empty()) json["run"]["phases"] = phases_json(phases);
  json["cost"] = std::move(outcome.cost);
  if (s.published) json["published"] = published_json(*s.published, json);
  if (options.studies)
    json["studies"] = run_studies(s, in, phases, outcome.finishes, options);
  else if (options.log_trial)
    json["studies"]["log"] = trial_log(in, options.seed, *options.log_trial);
  add_intervals(json, e, prediction_interval(s, read_residuals(library)));
  if (options.sensitivity) json["sensitivity"] = sensitivity_json(s, library, options);
  close_document(json, s, e, options);
  return json;
}

nlohmann::ordered_json goodput_document(Document document, const Library& library,
                                        const ExperimentOptions& options) {
  const Scenario s = read_scenario(document, library);
  const StepExperiment e = simulate(s, options.seed);
  const std::vector<RunPhase> phases = run_phases(s, e, options.seed);
  const RunInput in = run_input(s, step_times(s, phases, options.seed), e, options);
  Json json = open_document(document);
  json["step"] = {{"time_s", seconds(e.step.time)},
                  {"memory", {{"fits", e.memory.fits}, {"reason", e.memory.verdict}}}};
  RunOutcome outcome = run_outcome(s, in, phases, options);
  json["run"] = std::move(outcome.run);
  if (!s.phases.empty()) json["run"]["phases"] = phases_json(phases);
  json["cost"] = std::move(outcome.cost);
  json["studies"] = run_studies(s, in, phases, outcome.finishes, options);
  Json with_step = {{"step", step_json(s, e)}, {"run", json["run"]}, {"cost", json["cost"]}};
  add_intervals(with_step, e, prediction_interval(s, read_residuals(library)));
  json["run"] = std::move(with_step["run"]);
  json["cost"] = std::move(with_step["cost"]);
  close_document(json, s, e, options);
  return json;
}

nlohmann::ordered_json comparison_document(std::vector<Alternative> alternatives, const std::string& key,
                                           const Library& library, const ExperimentOptions& options) {
  INVARIANT(!alternatives.empty());
  // What is done about failures does not change the step: it is simulated once then.
  const auto of_the_run = [&](std::string_view part) { return key.starts_with(part); };
  const bool same_step =
      of_the_run("recovery") || of_the_run("checkpoint") || of_the_run("failures") || of_the_run("run.");
  std::vector<RunAlternative> runs;
  std::optional<StepExperiment> step;
  std::optional<Scenario> first;
  Json json;
  for (Alternative& alternative : alternatives) {
    const Scenario s = read_scenario(alternative.document, library);
    if (!step || !same_step) step = simulate(s, options.seed);
    runs.push_back({alternative.value, run_input(s, step_times(s, *step, options.seed), *step, options)});
    if (first) continue;
    first = s;
    json = open_document(alternative.document);
    json["step"] = {{"time_s", seconds(step->step.time)}};
  }
  json["comparison"] = {{"key", key}, {"alternatives", comparison(runs, options)}};
  close_document(json, *first, *step, options);
  return json;
}

}  // namespace runcast
