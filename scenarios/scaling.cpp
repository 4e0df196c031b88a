// Budgets turned into FLOPs, laws asked, models placed; formulas as in the header.
#include "scenarios/scaling.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/experiment.hpp"
#include "scenarios/library_entries.hpp"
#include "scenarios/provenance.hpp"
#include "scenarios/trained_models.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

// What a GPU-hour is worth in the laws' FLOPs, and what it costs.
struct Machine {
  bool known = false;
  std::string gpu, precision, source;
  FlopRate peak;
  double mfu = 0;     // as given, or of the step in the `exact` convention
  double mfu_6n = 0;  // the same in 6 N FLOPs a token; 0: not known
  Dollars price;      // of a GPU-hour; 0: not known
  double flops_per_hour() const { return kHour * peak.value * mfu_6n; }
};

std::optional<double> optional_value(double value) {
  return value > 0 ? std::optional<double>(value) : std::nullopt;
}
Json json_of(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Machine machine_of(const Scenario& s, const ScalingRequest& request) {
  Machine m;
  m.known = true;
  m.gpu = s.node.gpu.name;
  m.precision = s.training.precision->name;
  m.peak = peak_rate(s.node.gpu, *s.training.precision);
  m.price = s.economics.price();
  if (request.mfu) return m;
  m.mfu = step_of(s, request.seed, false).mfu;
  const double length = static_cast<double>(s.training.sequence_length);
  m.mfu_6n = m.mfu * (training_flops_per_token(s.model, length, FlopConvention::six_n) /
                      training_flops_per_token(s.model, length, FlopConvention::exact));
  m.source = "simulated step of " + s.name;
  return m;
}

Machine find_machine(const std::optional<Scenario>& scenario, const ScalingRequest& request,
                     const Library& library) {
  Machine m;
  if (scenario) {
    m = machine_of(*scenario, request);
  } else if (!request.gpu.empty()) {
    const GpuSpec gpu = gpu_named(request.gpu, library, "--gpu");
    m.known = true;
    m.gpu = gpu.name;
    m.precision = request.precision;
    m.peak = peak_rate(gpu, precision_on(gpu, request.precision, "--precision"));
    m.price = list_price(gpu);
  }
  if (request.mfu) {
    m.mfu = m.mfu_6n = *request.mfu;
    m.source = "--mfu";
  }
  if (request.price) m.price = *request.price;
  return m;
}

void check(const ScalingRequest& r, const std::optional<Document>& scenario) {
  std::vector<std::string> given;
  if (r.compute) given.emplace_back("--compute");
  if (r.gpu_hours) given.emplace_back("--gpu-hours");
  if (r.budget) given.emplace_back("--budget");
  if (r.loss) given.emplace_back("--loss");
  if (given.size() > 1)
    throw ConfigError(fmt::format("{}: {} budgets; give one of them", fmt::join(given, ", "), given.size()));
  if (scenario && !r.gpu.empty())
    throw ConfigError("--gpu: the scenario has its GPU; leave --gpu out, or --set cluster.node=NAME");
  if (!r.model.empty() && r.parameters)
    throw ConfigError("--parameters: --model has its own number of parameters; give one of them");
  if (r.mfu && !(*r.mfu > 0 && *r.mfu <= 1))
    throw ConfigError(fmt::format("--mfu: {} is not a share between 0 and 1, e.g. 0.4", *r.mfu));
}

void need_machine(const Machine& m, std::string_view option) {
  if (!m.known)
    throw ConfigError(
        fmt::format("{}: on which GPU? Give --scenario NAME, whose simulated step tells the MFU, or "
                    "--gpu NAME with --mfu",
                    option));
  if (m.mfu_6n <= 0)
    throw ConfigError(
        fmt::format("{}: give --scenario NAME, whose simulated step tells the MFU, or --mfu", option));
}

// The budget in FLOPs; none when the request has none.
std::optional<Flops> compute_of(const ScalingRequest& r, const ScalingLaw& law, const Machine& m) {
  if (r.compute) return r.compute;
  if (r.gpu_hours) {
    need_machine(m, "--gpu-hours");
    return Flops(*r.gpu_hours * m.flops_per_hour());
  }
  if (r.budget) {
    need_machine(m, "--budget");
    if (m.price.value <= 0)
      throw ConfigError(fmt::format("--budget: the library has no price of {}; give --price", m.gpu));
    return Flops(*r.budget / m.price * m.flops_per_hour());
  }
  if (!r.loss) return std::nullopt;
  const std::optional<Flops> compute = compute_for_loss(law, *r.loss);
  if (!compute)
    throw ConfigError(
        fmt::format("--loss: no compute reaches a loss of {} by the law {}", *r.loss, law.name));
  return compute;
}

Json allocation_json(const ScalingLaw& law, Allocation x) {
  return {{"n_opt", x.parameters},
          {"d_opt", x.tokens},
          {"tokens_per_parameter", x.tokens / x.parameters},
          {"loss", law.loss(x)}};
}

Json laws_json(Flops compute) {
  Json rows = Json::array();
  for (const ScalingLaw& law : scaling_laws()) {
    Json row = {{"law", law.name}};
    row.update(allocation_json(law, law.optimum(compute)));
    row["sentence"] = law.sentence;
    rows.push_back(std::move(row));
  }
  return rows;
}

// The optimum along compute: two decades to both sides of the budget, or the whole field without one.
Json frontier_json(const ScalingLaw& law, const std::optional<Flops>& compute) {
  Json rows = Json::array();
  const double first = compute ? compute->value / 100 : 1e18;
  const int decades = compute ? 4 : 9;
  for (int i = 0; i <= decades; ++i) {
    const Flops c(first * std::pow(10.0, i));
    Json row = {{"compute_flops", c.value}};
    row.update(allocation_json(law, law.optimum(c)));
    rows.push_back(std::move(row));
  }
  return rows;
}

Json budget_json(const Machine& m, Flops compute) {
  Json json;
  const auto hours = m.mfu_6n > 0 ? std::optional<double>(compute.value / m.flops_per_hour()) : std::nullopt;
  json["gpu"] = m.gpu;
  json["precision"] = m.precision;
  json["peak_tflops_per_gpu"] = m.peak.value / kTera;
  json["mfu"] = json_of(optional_value(m.mfu));
  json["mfu_6n"] = json_of(optional_value(m.mfu_6n));
  json["mfu_source"] = m.source;
  json["gpu_hours"] = json_of(hours);
  json["usd_per_gpu_hour"] = json_of(optional_value(m.price.value));
  json["usd"] = hours && m.price.value > 0 ? Json(m.price.value * *hours) : Json(nullptr);
  return json;
}

// A model against the optimum of the compute that it took.
Json placed(const ScalingLaw& law, const std::string& name, Allocation x) {
  const Flops c = training_compute(x);
  const Allocation best = law.optimum(c);
  const double loss = law.loss(x);
  const auto needed = compute_for_loss(law, loss);
  return {{"name", name},
          {"parameters", x.parameters},
          {"tokens", x.tokens},
          {"tokens_per_parameter", x.tokens / x.parameters},
          {"compute_flops", c.value},
          {"loss", loss},
          {"n_opt", best.parameters},
          {"d_opt", best.tokens},
          {"loss_at_optimum", law.loss(best)},
          {"parameters_over_optimum", x.parameters / best.parameters},
          {"tokens_over_optimum", x.tokens / best.tokens},
          {"compute_over_needed", needed ? Json(c / *needed) : Json(nullptr)}};
}

Json models_json(const ScalingLaw& law, const Library& library) {
  Json rows = Json::array();
  for (const TrainedModel& m : trained_models(library)) {
    Json row = placed(law, m.name, {m.parameters, m.tokens});
    row["experts"] = m.experts;
    if (m.gpu_hours > 0) {  // what the published hours come to, all losses of the run included
      const GpuSpec gpu = gpu_named(m.gpu, library, m.source);
      const FlopRate peak = peak_rate(gpu, precision_on(gpu, "bf16", m.source));
      row["gpu"] = m.gpu;
      row["gpu_hours"] = m.gpu_hours;
      row["mfu_6n_of_run"] =
          training_compute({m.parameters, m.tokens}).value / (m.gpu_hours * kHour * peak.value);
    }
    row["source"] = m.source;
    rows.push_back(std::move(row));
  }
  return rows;
}

// ---- one's own model and batch ramp -----------------------------------------------------------------------

struct Own {
  std::string name;
  double parameters = 0, tokens = 0;
};

Own own_model(const ScalingRequest& r, const std::optional<Scenario>& scenario,
              const std::optional<Flops>& compute, const Library& library) {
  Own own;
  if (!r.model.empty()) {
    own = {r.model, static_cast<double>(count_parameters(model_named(r.model, library, "--model")).active),
           0};
  } else if (r.parameters) {
    own = {"--parameters", *r.parameters, 0};
  } else if (scenario) {
    own = {scenario->model.name, static_cast<double>(count_parameters(scenario->model).active),
           compute ? 0 : scenario->training.tokens};
  }
  if (own.parameters <= 0) {
    if (r.tokens) throw ConfigError("--tokens: of which model? Give --model NAME or --parameters N");
    return own;
  }
  if (r.tokens) own.tokens = *r.tokens;
  if (own.tokens <= 0 && compute) own.tokens = compute->value / (6 * own.parameters);
  return own;
}

std::vector<RampPhase> ramp_of(const Scenario& s) {
  std::vector<RampPhase> ramp;
  const auto add = [&](bool last) {
    for (const PhaseSpec& p : s.phases)
      if (p.last == last)
        ramp.push_back({p.tokens, static_cast<double>(p.global_batch * p.sequence_length), 0});
  };
  add(false);
  if (s.main_tokens() > 0)
    ramp.push_back(
        {s.main_tokens(), static_cast<double>(s.training.global_batch * s.training.sequence_length), 0});
  add(true);
  return ramp;
}

// Critical batches that are not given: at the loss in the middle of the phase by Kaplan's law, whose data and
// tokenizer the fit of the critical batch shares.
void fill_critical(std::vector<RampPhase>& ramp, const Own& own, std::vector<std::string>& assumptions) {
  double before = 0;
  bool filled = false;
  for (RampPhase& p : ramp) {
    if (p.critical <= 0) {
      if (own.parameters <= 0 || p.tokens <= 0)
        throw ConfigError(
            "--ramp: without a critical batch (TOKENS:BATCH/CRITICAL), its tokens and --model NAME or "
            "--parameters N are needed to estimate one");
      p.critical = critical_batch(find_scaling_law("kaplan")->loss({own.parameters, before + p.tokens / 2}));
      filled = true;
    }
    before += p.tokens;
  }
  if (filled)
    assumptions.emplace_back(
        "Critical batch: 2.1e8 / L^(1/0.21) tokens at the loss L in the middle of each phase "
        "(Kaplan et al. 2020); other data may differ by a few times");
}

Json batch_json(const std::vector<RampPhase>& ramp) {
  Json phases = Json::array();
  double tokens = 0, steps = 0, useful = 0, samples = 0, last_useful = 0, last_samples = 0;
  bool whole = true;
  const double last = ramp.back().batch;
  for (const RampPhase& p : ramp) {
    const double efficiency = batch_efficiency(p.batch, p.critical);
    const double sample = sample_efficiency(p.batch, p.critical);
    phases.push_back({{"tokens", json_of(optional_value(p.tokens))},
                      {"batch_tokens", p.batch},
                      {"critical_batch_tokens", p.critical},
                      {"efficiency", efficiency},
                      {"sample_efficiency", sample},
                      {"steps", json_of(optional_value(p.tokens / p.batch))}});
    whole = whole && p.tokens > 0;
    tokens += p.tokens;
    steps += p.tokens / p.batch;
    useful += p.tokens / p.batch * efficiency;
    samples += p.tokens * sample;
    last_useful += p.tokens / last * batch_efficiency(last, p.critical);
    last_samples += p.tokens * sample_efficiency(last, p.critical);
  }
  Json json = {{"phases", std::move(phases)}};
  if (!whole) return json;
  json["ramp"] = {{"steps", steps}, {"efficiency", useful / steps}, {"sample_efficiency", samples / tokens}};
  json["constant"] = {{"batch_tokens", last},
                      {"steps", tokens / last},
                      {"efficiency", last_useful / (tokens / last)},
                      {"sample_efficiency", last_samples / tokens}};
  return json;
}

// What was asked; `scenario` as it was understood.
Json request_json(const ScalingRequest& r, const ScalingLaw& law, const std::optional<Document>& scenario) {
  const auto of_text = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  Json ramp = Json::array();
  for (const RampPhase& p : r.ramp)
    ramp.push_back({{"tokens", p.tokens}, {"batch_tokens", p.batch}, {"critical_batch_tokens", p.critical}});
  return {{"law", law.name},
          {"compute_flops", r.compute ? Json(r.compute->value) : Json(nullptr)},
          {"gpu_hours", json_of(r.gpu_hours)},
          {"usd", r.budget ? Json(r.budget->value) : Json(nullptr)},
          {"loss", json_of(r.loss)},
          {"gpu", of_text(r.gpu)},
          {"precision", r.precision},
          {"mfu", json_of(r.mfu)},
          {"usd_per_gpu_hour", r.price ? Json(r.price->value) : Json(nullptr)},
          {"model", of_text(r.model)},
          {"parameters", json_of(r.parameters)},
          {"tokens", json_of(r.tokens)},
          {"ramp", std::move(ramp)},
          {"scenario", scenario ? scenario->resolved() : Json(nullptr)}};
}

}  // namespace

nlohmann::ordered_json scaling_document(const ScalingRequest& request, std::optional<Document> document,
                                        const Library& library) {
  check(request, document);
  std::vector<std::string> names;
  for (const ScalingLaw& row : scaling_laws()) names.emplace_back(row.name);
  const ScalingLaw* law = find_scaling_law(request.law);
  if (law == nullptr) {
    const std::string near = nearest_name(request.law, names);
    throw ConfigError(fmt::format("--law: unknown law '{}'{}; legal: {}", request.law,
                                  near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                  fmt::join(names, ", ")));
  }
  std::optional<Scenario> scenario;
  if (document) scenario = read_scenario(*document, library);
  const Json asked = request_json(request, *law, document);
  const Machine machine = find_machine(scenario, request, library);
  const std::optional<Flops> compute = compute_of(request, *law, machine);

  std::vector<std::string> assumptions;
  Json json = {{"schema_version", 1}, {"law", law->name}};
  if (compute) {
    json["compute_flops"] = compute->value;
    json.update(allocation_json(*law, law->optimum(*compute)));
    if (machine.known) json["budget"] = budget_json(machine, *compute);
    json["laws"] = laws_json(*compute);
  }
  json["frontier"] = frontier_json(*law, compute);
  const Own own = own_model(request, scenario, compute, library);
  if (own.tokens > 0) json["model"] = placed(*law, own.name, {own.parameters, own.tokens});
  if (own.parameters > 0 && request.loss)
    json["model_tokens_for_loss"] = json_of(tokens_for_loss(*law, own.parameters, *request.loss));
  json["models"] = models_json(*law, library);
  std::vector<RampPhase> ramp = request.ramp;
  if (ramp.empty() && scenario) ramp = ramp_of(*scenario);
  if (!ramp.empty()) {
    fill_critical(ramp, own, assumptions);
    json["batch"] = batch_json(ramp);
  }
  assumptions.emplace_back(
      "Training takes 6 FLOPs a parameter and token; the laws were fitted to dense models of up "
      "to 16B parameters, and a model with experts is placed by its active parameters");
  if (machine.known && !request.price && machine.price.value > 0 &&
      (!scenario || scenario->economics.price_assumed))
    assumptions.push_back(
        fmt::format("Price {:.2f} USD per GPU-hour: the middle of the on-demand range of {}",
                    machine.price.value, machine.gpu));
  json["request"] = asked;
  json["provenance"] = {{"version", RUNCAST_VERSION},
                        {"seed", request.seed},
                        {"scenario_hash", hash_of(asked.dump())},
                        {"assumptions", assumptions}};
  return json;
}

}  // namespace runcast
