// From a question to the engine's settings, and from its outcome to rows.
#include "scenarios/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "parallelism/memory.hpp"
#include "scenarios/run_experiment.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> kObjectives = {"step_time", "tokens_per_dollar", "days", "energy"};
constexpr std::int64_t kTrials = 40;  // of each layout that the run is simulated for

std::string recompute_text(const Recompute& r) {
  switch (r.kind) {
    case Recompute::Kind::none:
      return "none";
    case Recompute::Kind::selective:
      return "selective";
    case Recompute::Kind::full:
      return r.layers > 0 ? fmt::format("full, {} layers", r.layers) : "full";
    case Recompute::Kind::modules:
      break;
  }
  return fmt::format("{}", fmt::join(r.modules, "+"));
}

std::string sharding_text(const Sharding& s) {
  return s.group > 0 ? fmt::format("{}:{}", name_of(s.kind), s.group) : std::string(name_of(s.kind));
}

Json layout_json(const Layout& l, const ScheduleSpec& schedule, const TrainingSpec& t) {
  Json order = Json::array();
  for (const Axis axis : l.order) order.push_back(name_of(axis));
  return {{"tensor", l.tensor},
          {"sequence_parallel", l.sequence_parallel},
          {"context", l.context},
          {"context_method", l.context_method},
          {"pipeline", l.pipeline},
          {"data", l.data},
          {"expert", l.expert},
          {"expert_tensor", l.expert_tensor},
          {"order", std::move(order)},
          {"schedule", schedule.row->name},
          {"virtual_stages", schedule.virtual_stages},
          {"group_size", schedule.group_size},
          {"micro_batch", t.micro_batch},
          {"recompute", recompute_text(t.recompute)},
          {"sharding", sharding_text(t.sharding)},
          {"overlap_data", t.overlap.data},
          {"overlap_tensor", t.overlap.tensor},
          {"overlap_pipeline", t.overlap.pipeline},
          {"overlap_expert", t.overlap.expert}};
}

double usd_per_token(const Scenario& s, double step_s) {
  const double tokens =
      static_cast<double>(s.training.global_batch) * static_cast<double>(s.training.sequence_length);
  return s.economics.price().value * s.gpus() * step_s / kHour / tokens;
}

// MFU needs no simulation: model FLOPs of a step over its time at peak.
double mfu_of(const Scenario& s, double step_s) {
  const double sequence = static_cast<double>(s.training.sequence_length);
  const double tokens = static_cast<double>(s.training.global_batch) * sequence;
  const double flops = (tokens * training_flops_per_token(s.model, sequence, FlopConvention::exact)).value;
  return flops / step_s / s.gpus() / peak_rate(s.node.gpu, *s.training.precision).value;
}

class SearchReport {
 public:
  SearchReport(const ScenarioSource& source, const SearchQuestion& question, const Library& library,
               const ExperimentOptions& options)
      : source_(source),
        question_(question),
        library_(library),
        options_(options),
        space_(source, question.axes, library) {}

  Json document() {
    SearchSettings settings;
    settings.threads = options_.threads;
    settings.seed = options_.seed;
    settings.top = question_.top;
    settings.progress = options_.progress;
    settings.stop = question_.stop;
    for (const Machine& machine : space_.machines()) settings.factor.push_back(factor_of(machine.scenario));
    if (of_the_run())
      settings.judge = [this](const Choice& choice, Seconds) { return run_figure(space_.scenario(choice)); };
    if (question_.allowed)
      settings.allowed = [this](const Choice& choice, Seconds step, double peak) {
        return question_.allowed(row(space_.scenario(choice), step.value, peak));
      };
    const SearchOutcome outcome = search_layouts(space_, settings);
    return written(outcome);
  }

 private:
  bool of_the_run() const { return question_.objective == "days" || question_.objective == "energy"; }

  // Score of one second of a step on this machine; for the run: of as many steps as it takes, without a failure.
  double factor_of(const Scenario& s) const {
    if (question_.objective == "step_time") return 1;
    if (question_.objective == "tokens_per_dollar") {
      if (s.economics.gpu_hour.value <= 0)
        throw ConfigError("search: tokens_per_dollar needs a price; add economics: {gpu_hour: 2.50 USD}");
      return usd_per_token(s, 1);
    }
    const double tokens =
        static_cast<double>(s.training.global_batch) * static_cast<double>(s.training.sequence_length);
    const double steps = s.main_tokens() / tokens;  // the last one is whole: at least so many
    if (question_.objective == "days") return steps / kDay;
    RunUse least;  // at idle power: no state draws less
    least.gpus = s.gpus();
    least.wall = Seconds(steps);
    least.states = {0, 0, 0, 0, 1};
    return cost_of(s.economics, s.node, least).energy.value / 3.6e9;
  }

  double run_figure(const Scenario& s) const {
    ExperimentOptions options = options_;
    options.threads = 1;
    options.progress = nullptr;
    if (!options.trials && !options.automatic_trials) options.trials = kTrials;
    const StepExperiment e = simulate(s, options.seed);
    const std::vector<RunPhase> phases = run_phases(s, e, options.seed);
    const RunOutcome outcome =
        run_outcome(s, run_input(s, step_times(s, phases, options.seed), e, options), phases, options);
    return question_.objective == "days" ? outcome.run["days"]["mean"].get<double>()
                                         : outcome.cost["energy_mwh"].get<double>();
  }

  Json row(const Scenario& s, double step_s, double peak_gib) const {
    Json json = layout_json(s.layout, s.schedule, s.training);
    if (space_.machines().size() > 1) {
      json["node"] = s.node.name;
      json["gpus"] = s.gpus();
      json["global_batch"] = s.training.global_batch;
    }
    json["step_s"] = step_s;
    json["mfu"] = mfu_of(s, step_s);
    json["peak_gib"] = peak_gib;
    json["usd_per_1t_tokens"] =
        s.economics.gpu_hour.value > 0 ? Json(usd_per_token(s, step_s) * 1e12) : Json(nullptr);
    return json;
  }

  Json simulated_row(const SimulatedLayout& found) const {
    const Scenario s = space_.scenario(found.choice);
    Json json = row(s, to_seconds(found.step).value, found.peak_gib);
    if (question_.objective == "days") json["days"] = found.score;
    if (question_.objective == "energy") json["energy_mwh"] = found.score;
    json["bound_share"] = found.score > 0 ? found.bound / found.score : 1;
    json["simulated"] = true;
    json["set"] = space_.sets(found.choice);
    return json;
  }

  Json rejected_json(const SearchOutcome& outcome) const {
    Json list = Json::array();
    for (std::size_t i = 0; i < kRejections; ++i) {
      const RejectedLayouts& r = outcome.rejected[i];
      if (r.count == 0) continue;
      list.push_back({{"reason", sentence_of(static_cast<Rejection>(i))},
                      {"count", r.count},
                      {"example", example_of(r, static_cast<Rejection>(i))}});
    }
    return list;
  }

  std::string example_of(const RejectedLayouts& r, Rejection reason) const {
    const Layout& l = space_.cells()[static_cast<std::size_t>(*r.cell)].layout;
    std::string text = fmt::format("tensor {} x context {} x pipeline {} x data {}", l.tensor, l.context,
                                   l.pipeline, l.data);
    if (l.expert * l.expert_tensor > 1) text += fmt::format(", expert {} x {}", l.expert, l.expert_tensor);
    if (!r.example) return text;
    const Scenario s = space_.scenario(*r.example);
    text += fmt::format(", micro_batch {}, {}", s.training.micro_batch, s.schedule.row->name);
    if (s.schedule.virtual_stages > 1) text += fmt::format(" x {}", s.schedule.virtual_stages);
    if (reason == Rejection::schedule)
      text += ": " + s.schedule.row->refuse(s.schedule.request(s.layout, s.microbatches));
    if (reason == Rejection::memory)
      text += fmt::format(", recompute {}, {}: {}", recompute_text(s.training.recompute),
                          sharding_text(s.training.sharding), memory_of(s).verdict);
    return text;
  }

  // The fastest layout that lacks a little memory: what would be gained, and what it takes.
  Json miss_json(const SearchOutcome& outcome) const {
    if (!outcome.miss) return nullptr;
    const Scenario s = space_.scenario(outcome.miss->choice);
    Json json = row(s, to_seconds(outcome.miss->step).value, outcome.miss->peak_gib);
    json["missing_gib"] = outcome.miss->peak_gib - in_gib(s.node.gpu.capacity);
    json["reason"] = memory_of(s).verdict;
    json["set"] = space_.sets(outcome.miss->choice);
    return json;
  }

  // The scenario's own layout beside the best: where its step is longer, part by part.
  Json own_json(const SearchOutcome& outcome) const {
    Document document = source_.open();
    const Scenario s = read_scenario(document, library_);
    const StepExperiment own = simulate(s, options_.seed);
    Json json = row(s, to_seconds(own.step.time).value, in_gib(own.memory.peak));
    json["fits"] = own.memory.fits;
    if (outcome.best.empty() || question_.objective != "step_time") return json;
    const Scenario best = space_.scenario(outcome.best.front().choice);
    const StepResult step = simulate(best, options_.seed).step;
    json["over_best"] = to_seconds(own.step.time) / to_seconds(step.time) - 1;
    Json difference = breakdown_json(own.step.breakdown);
    const Json parts = breakdown_json(step.breakdown);
    for (auto& [key, value] : difference.items()) value = value.get<double>() - parts[key].get<double>();
    json["difference_s"] = std::move(difference);
    return json;
  }

  Json written(const SearchOutcome& outcome) {
    Json json = {{"schema_version", 1}};
    {
      Document document = source_.open();
      read_scenario(document, library_);
      json["scenario"] = document.resolved();
    }
    json["objective"] = question_.objective;
    std::int64_t rejected = 0;
    for (const RejectedLayouts& r : outcome.rejected) rejected += r.count;
    json["counted"] = outcome.counted;
    json["pruned"] = rejected;
    json["feasible"] = outcome.feasible;
    json["simulated"] = outcome.simulated;
    json["complete"] = outcome.complete;
    json["seconds"] = outcome.bound_seconds + outcome.simulation_seconds;
    json["timing"] = {
        {"seconds", {{"bounds", outcome.bound_seconds}, {"simulation", outcome.simulation_seconds}}}};
    json["layouts"] = Json::array();
    for (const SimulatedLayout& found : outcome.best) json["layouts"].push_back(simulated_row(found));
    json["pareto"] = Json::array();
    for (const SimulatedLayout& found : outcome.front) json["pareto"].push_back(simulated_row(found));
    json["rejected"] = rejected_json(outcome);
    if (Json miss = miss_json(outcome); !miss.is_null()) json["nearest_miss"] = std::move(miss);
    json["own"] = own_json(outcome);
    json["provenance"] = {{"version", RUNCAST_VERSION},
                          {"seed", options_.seed},
                          {"scenario_hash", hash_of(json["scenario"].dump())},
                          {"assumptions", assumptions()}};
    return json;
  }

  Json assumptions() const {
    Json list = Json::array();
    for (const std::string& line : space_.machines().front().scenario.assumptions) list.push_back(line);
    list.push_back("The search compares the main training; phases are left out");
    return list;
  }

  const ScenarioSource& source_;
  const SearchQuestion& question_;
  const Library& library_;
  const ExperimentOptions& options_;
  SearchSpace space_;
};

}  // namespace

std::vector<std::string> search_objectives() { return {kObjectives.begin(), kObjectives.end()}; }

nlohmann::ordered_json search_document(const ScenarioSource& source, const SearchQuestion& question,
                                       const Library& library, const ExperimentOptions& options) {
  INVARIANT(std::ranges::find(kObjectives, question.objective) != kObjectives.end());
  return SearchReport(source, question, library, options).document();
}

}  // namespace runcast
