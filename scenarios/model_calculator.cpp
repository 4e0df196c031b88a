// Calls the calculators of parallelism/ one after the other and writes what they say.
#include "scenarios/model_calculator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "parallelism/roofline.hpp"
#include "scenarios/library_entries.hpp"
#include "scenarios/provenance.hpp"
#include "scenarios/throughput_grade.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kConventions = {FlopConvention::exact, FlopConvention::exact_full, FlopConvention::six_n,
                                     FlopConvention::palm, FlopConvention::megatron_2021};
constexpr std::int64_t kUsualSequence = 4096;

struct RecomputeRow {
  std::string_view name;
  Recompute::Kind kind;
};
// All that `recompute: [modules]` can name.
constexpr std::array kModules = {"attention_core", "mlp_activation", "moe_activation",
                                 "norms",          "mlp_up",         "mla_up"};
constexpr std::array<RecomputeRow, 3> kRecomputes = {{{"none", Recompute::Kind::none},
                                                      {"selective", Recompute::Kind::selective},
                                                      {"full", Recompute::Kind::full}}};

// What a request stands for, read.
struct Study {
  const ModelRequest& request;
  const Library& library;
  Model model;
  GpuSpec gpu;
  const Precision* precision = nullptr;
  SoftwareProfile software = {};
  FlopConvention convention = FlopConvention::exact;
  std::int64_t sequence = 0;
  double context = 0;

  TrainingSpec training(Recompute::Kind recompute) const {
    TrainingSpec t;
    t.sequence_length = sequence;
    t.precision = precision;
    t.recompute.kind = recompute;
    if (recompute == Recompute::Kind::modules) t.recompute.modules.assign(kModules.begin(), kModules.end());
    t.optimizer = request.optimizer;
    return t;
  }
  Flops per_token(FlopConvention c) const { return training_flops_per_token(model, real(sequence), c); }
  static double real(std::int64_t n) { return static_cast<double>(n); }
};

Json json_of(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

FlopConvention convention_named(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  std::vector<std::string> names;
  for (const FlopConvention c : kConventions) {
    if (name_of(c) == name) return c;
    names.emplace_back(name_of(c));
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(fmt::format("--convention: unknown convention '{}'{}; legal: {}", name,
                                near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                fmt::join(names, ", ")));
}

Study read(const ModelRequest& r, const Library& library) {
  Study s{r, library, model_named(r.model, library, "runcast model"), gpu_named(r.gpu, library, "--gpu")};
  s.precision = &precision_on(s.gpu, r.precision, "--precision");
  s.software = software_named(r.software, library, "--software");
  s.convention = convention_named(r.convention);
  const std::int64_t usual =
      s.model.positions > 0 ? std::min(s.model.positions, kUsualSequence) : kUsualSequence;
  s.sequence = r.sequence > 0 ? r.sequence : usual;
  s.context = r.context > 0 ? r.context : Study::real(s.sequence);
  if (std::ranges::find(optimizer_names(), r.optimizer) == optimizer_names().end())
    throw ConfigError(fmt::format("--optimizer: unknown optimizer '{}'; legal: {}", r.optimizer,
                                  fmt::join(optimizer_names(), " ")));
  if (r.mfu && !(*r.mfu > 0 && *r.mfu <= 1))
    throw ConfigError(fmt::format("--mfu: {} is not a share between 0 and 1, e.g. 0.4", *r.mfu));
  if (!(r.pue >= 1 && r.pue <= 10))
    throw ConfigError(fmt::format("--pue: {} does not lie between 1 and 10", r.pue));
  if (!(r.kg_per_kwh >= 0 && r.kg_per_kwh <= 10))
    throw ConfigError(fmt::format("--carbon: {} kg/kWh does not lie between 0 and 10", r.kg_per_kwh));
  return s;
}

// ---- counting -------------------------------------------------------------------------------------------

void add_counts(Json& json, const Study& s) {
  const ParameterCount count = count_parameters(s.model);
  const ParameterParts p = parameter_parts(s.model);
  json["parameters"] = count.total;
  json["active_parameters"] = count.active;
  json["parameters_by_component"] = {{"embedding", p.embedding},  {"positions", p.positions},
                                     {"attention", p.attention},  {"mlp", p.mlp},
                                     {"router", p.router},        {"routed_experts", p.routed_experts},
                                     {"norms", p.norms},          {"head", p.head},
                                     {"prediction", p.prediction}};
  // 12 h^2 of a GELU block with f = 4 h: attention and two matrices of the MLP, whatever the model has.
  const auto [h, f] = std::pair{Study::real(s.model.hidden), Study::real(s.model.ffn)};
  const double by_rule =
      Study::real(s.model.layers) * (4 * h * h + 2 * h * f) + Study::real(p.embedding + p.head);
  json["layer_rule"] = {{"parameters", by_rule}, {"of_the_exact", by_rule / Study::real(count.total)}};
  json["sequence_length"] = s.sequence;
  Json training, forward, recomputed;
  for (const FlopConvention c : kConventions) {
    const std::string name(name_of(c));
    const double flops = s.per_token(c).value;
    training[name] = flops;
    forward[name] = flops / 3;
    // Layers are computed again, the head is not [Narayanan et al. 2021, eq. 3]; 6 N and PaLM's count know no head.
    double heads = 1 + Study::real(s.model.predicted_tokens);
    if (c == FlopConvention::six_n || c == FlopConvention::palm) heads = 0;
    if (c == FlopConvention::megatron_2021) heads = 1;
    recomputed[name] = flops / 3 * 4 - heads * head_forward_flops(s.model, 1).value;
  }
  json["flops_per_token"] = std::move(training);
  json["forward_flops_per_token"] = std::move(forward);
  json["full_recompute_flops_per_token"] = std::move(recomputed);
}

void add_shares(Json& json, const Study& s) {
  json["attention_half_sequence"] = json_of(half_attention_sequence(s.model));
  json["scores_half_sequence"] = json_of(half_scores_sequence(s.model));
  Json rows = Json::array();
  std::vector<std::int64_t> lengths = {1024, 4096, 16384, 65536, 262144, 1048576};
  if (std::find(lengths.begin(), lengths.end(), s.sequence) == lengths.end()) lengths.push_back(s.sequence);
  std::sort(lengths.begin(), lengths.end());
  for (const std::int64_t length : lengths) {
    const ForwardFlops f = forward_flops(s.model, Study::real(length));
    rows.push_back({{"sequence_length", length},
                    {"attention_share", f.attention() / f.total()},
                    {"scores_share", f.scores / f.total()},
                    {"mlp_share", f.mlp / f.total()},
                    {"head_share", f.head / f.total()},
                    {"exact_flops_per_token", 3 * f.total().value}});
  }
  json["flop_shares"] = std::move(rows);
}

// ---- memory ---------------------------------------------------------------------------------------------

// Rule of thumb: the layers in about sqrt(L) segments, of which only the inputs are kept, and one segment's activations
// while it is computed again                                                            [Chen et al. 2016, sec. 4]
Json square_root_json(const Study& s, const Json& kept, const Json& inputs) {
  const double layers = Study::real(s.model.layers);
  const double segments = std::round(std::sqrt(layers)), in_segment = std::ceil(layers / segments);
  const auto both = [&](const char* key) {
    return (segments * inputs.at(key).get<double>() + in_segment * kept.at(key).get<double>()) / layers;
  };
  return {{"recompute", "square_root"},
          {"layers_gb", both("layers_gb")},
          {"layers_bytes_per_token", both("layers_bytes_per_token")},
          {"segments", segments},
          {"rule_of_thumb", true}};
}

void add_memory(Json& json, const Study& s) {
  const double n = Study::real(count_parameters(s.model).total), tokens = Study::real(s.sequence);
  Json memory;
  // All in 16 bits: weights, gradients, two moments; the least that Adam's training could take.
  memory["all_16_bit_gb"] = 8 * n / kGiga;
  memory["by_rule_gb"] = {{"weights_16_bit", 2 * n / kGiga},
                          {"gradients_16_bit", 2 * n / kGiga},
                          {"moments_32_bit", 8 * n / kGiga}};
  Json activations = Json::array();
  std::vector<RecomputeRow> choices(kRecomputes.begin(), kRecomputes.end());
  choices.insert(choices.begin() + 2, RecomputeRow{"modules", Recompute::Kind::modules});
  for (const RecomputeRow& row : choices) {
    const TrainingSpec training = s.training(row.kind);
    const StageMemory m = memory_at(s.model, {&s.gpu, &training, &s.software, 1}).stages.front();
    if (row.kind == Recompute::Kind::none) {
      memory["weights_gb"] = m.weights.value / kGiga;
      memory["gradients_gb"] = m.gradients.value / kGiga;
      memory["optimizer_gb"] = m.optimizer.value / kGiga;
      memory["states_gb"] = (m.weights + m.gradients + m.optimizer).value / kGiga;
      memory["state_bytes_per_parameter"] = (m.weights + m.gradients + m.optimizer).value / n;
    }
    activations.push_back({{"recompute", row.name},
                           {"layers_gb", m.activations.value / kGiga},
                           {"layers_bytes_per_token", m.activations.value / tokens}});
  }
  activations.push_back(square_root_json(s, activations.front(), activations.back()));
  memory["activations_of_one_sequence"] = std::move(activations);
  json["memory"] = std::move(memory);
  json["kv_cache_bytes_per_token"] = kv_cache_bytes(s.model, 1).value;
}

// What fits on this GPU, alone or as a node that shares its states (ZeRO-3).
Json training_fits(const Study& s, const GpuSpec& gpu, int gpus) {
  Json json;
  for (const RecomputeRow& row : kRecomputes) {
    TrainingSpec training = s.training(row.kind);
    if (gpus > 1) training.sharding.kind = Sharding::Kind::zero3;
    const TrainingPlace place{&gpu, &training, &s.software, gpus};
    json[std::string(row.name)] = {{"longest_sequence", longest_training_sequence(s.model, place)},
                                   {"largest_micro_batch", largest_micro_batch(s.model, place)}};
  }
  return json;
}

void add_gpu_types(Json& json, const Study& s) {
  Json rows = Json::array();
  for (const std::string& name : s.library.names("hardware/gpus")) {
    const GpuSpec gpu = gpu_named(name, s.library, "library");
    const int gpus = gpus_of_node(name, s.library);
    const Bytes weights = served_weights(s.model, *s.precision);
    const auto left = [&](double n) { return n * (gpu.capacity - s.software.framework_memory) - weights; };
    Json row = {{"gpu", name}, {"capacity_gib", in_gib(gpu.capacity)}};
    row["all_16_bit_fits"] = Bytes(8 * Study::real(count_parameters(s.model).total)) < gpu.capacity;
    row["training"] = training_fits(s, gpu, 1);
    row["inference"] = {{"longest_context", longest_context(s.model, left(1), 1)},
                        {"largest_batch", largest_batch(s.model, left(1), s.context)}};
    if (gpus > 1) {
      row["node_gpus"] = gpus;
      row["node_training"] = training_fits(s, gpu, gpus);
      row["node_inference"] = {{"longest_context", longest_context(s.model, left(gpus), 1)},
                               {"largest_batch", largest_batch(s.model, left(gpus), s.context)}};
    }
    rows.push_back(std::move(row));
  }
  json["gpus"] = std::move(rows);
}

// ---- roofline -------------------------------------------------------------------------------------------

Json bound_json(const char* axis, double batch, const Bound& b) {
  const double tokens = batch;
  return {{axis, batch},
          {"compute_per_token_s", b.compute.value / tokens},
          {"memory_per_token_s", b.memory.value / tokens},
          {"time_per_token_s", b.time().value / tokens},
          {"mfu", b.mfu()},
          {"memory_bound", b.memory_bound()}};
}

Json size_json(const std::optional<Model>& m) {
  if (!m) return nullptr;
  return {{"parameters", count_parameters(*m).total},
          {"layers", m->layers},
          {"hidden", m->hidden},
          {"heads", m->heads}};
}

Json largest_json(const Study& s, int gpus) {
  Json json;
  for (const RecomputeRow& row : kRecomputes) {
    TrainingSpec training = s.training(row.kind);
    if (gpus > 1) training.sharding.kind = Sharding::Kind::zero3;
    json[std::string(row.name)] =
        size_json(largest_trainable(s.model, {&s.gpu, &training, &s.software, gpus}));
  }
  return json;
}

void add_roofline(Json& json, const Study& s) {
  const TrainingSpec training = s.training(Recompute::Kind::none);
  const TrainingPlace place{&s.gpu, &training, &s.software, 1};
  Json train_curve = Json::array(), decode_curve = Json::array();
  for (double tokens = 64; tokens <= 4194304; tokens *= 4)
    train_curve.push_back(bound_json("batch_tokens", tokens, training_bound(s.model, place, tokens)));
  for (double batch = 1; batch <= 4096; batch *= 4)
    decode_curve.push_back(
        bound_json("batch", batch, decode_bound(s.model, s.gpu, *s.precision, batch, s.context)));
  const int node = std::max(1, gpus_of_node(s.gpu.name, s.library));
  Json r = {{"gpu", s.gpu.name},
            {"precision", s.precision->name},
            {"peak_tflops_per_gpu", peak_rate(s.gpu, *s.precision).value / kTera},
            {"memory_bandwidth_gb_per_s", s.gpu.memory_bandwidth.value / kGiga}};
  const StepTraffic traffic = step_traffic(s.model, place);
  r["training"] = {{"weights_bytes", traffic.weights.value},
                   {"gradients_bytes", traffic.gradients.value},
                   {"optimizer_bytes", traffic.optimizer.value},
                   {"activation_bytes_per_token", traffic.activations.value},
                   {"flops_per_token", traffic.flops.value},
                   {"compute_bound_from_batch_tokens", json_of(training_batch(s.model, place))},
                   {"curve", std::move(train_curve)}};
  r["decode"] = {{"context", s.context},
                 {"compute_bound_from_batch", json_of(decode_batch(s.model, s.gpu, *s.precision, s.context))},
                 {"memory_bound_past_context", json_of(decode_context(s.model, s.gpu, *s.precision))},
                 {"curve", std::move(decode_curve)}};
  r["smallest_not_memory_bound"] = size_json(smallest_compute_bound(s.model, place, 0));
  r["smallest_not_memory_bound_at_one_sequence"] =
      size_json(smallest_compute_bound(s.model, place, Study::real(s.sequence)));
  r["largest_trained_on_one_gpu"] = largest_json(s, 1);
  r["node_gpus"] = node;
  r["largest_trained_on_a_node"] = largest_json(s, node);
  json["roofline"] = std::move(r);
}

// ---- what it costs, how good it is ----------------------------------------------------------------------

Json cost_of_time(const Study& s, Seconds on_one_gpu, Dollars price) {
  const double hours = in_hours(on_one_gpu);
  return {{"gpu_hours", hours},
          {"wall_days", hours / 24 / s.request.gpus},
          {"usd", price.value > 0 ? Json(price.value * hours) : Json(nullptr)}};
}

void add_cost(Json& json, const Study& s, std::vector<std::string>& assumptions) {
  if (!s.request.tokens) return;
  const double tokens = *s.request.tokens, mfu = s.request.mfu.value_or(1);
  const FlopRate rate = peak_rate(s.gpu, *s.precision) * mfu;
  const Dollars price = s.request.price.value_or(list_price(s.gpu));
  const Flops flops = tokens * s.per_token(s.convention);
  const Bound decode = decode_bound(s.model, s.gpu, *s.precision, s.request.batch, s.context);
  json["cost"] = {
      {"tokens", tokens}, {"gpus", s.request.gpus}, {"mfu", mfu}, {"convention", name_of(s.convention)}};
  json["cost"]["usd_per_gpu_hour"] = price.value > 0 ? Json(price.value) : Json(nullptr);
  json["cost"]["training_flops"] = flops.value;
  json["cost"]["training"] = cost_of_time(s, flops / rate, price);
  json["cost"]["forward"] = cost_of_time(s, flops / 3 / rate, price);
  json["cost"]["decode"] = cost_of_time(s, decode.time() * (tokens / s.request.batch), price);
  json["cost"]["forward_per_token_s"] = (flops / 3 / rate).value / tokens;
  const Watts power = s.request.power.value_or(s.gpu.tdp);
  const double hours = json["cost"]["training"]["gpu_hours"].get<double>();
  const double mwh = power.value * hours * s.request.pue / 1e6;
  json["cost"]["energy"] = {{"watts_per_gpu", power.value},
                            {"pue", s.request.pue},
                            {"kg_per_kwh", s.request.kg_per_kwh},
                            {"energy_mwh", mwh},
                            {"co2e_t", mwh * s.request.kg_per_kwh}};
  if (!s.request.power)
    assumptions.push_back(
        fmt::format("Energy: {:.0f} W a GPU, its TDP, all along; hosts are not counted; {} kg/kWh",
                    power.value, s.request.kg_per_kwh));
  if (!s.request.mfu)
    assumptions.emplace_back(
        "The cost is that of the GPU's peak, a lower bound: --mfu tells what is reached");
  if (!s.request.price && price.value > 0)
    assumptions.push_back(fmt::format(
        "Price {:.2f} USD per GPU-hour: the middle of the on-demand range of {}", price.value, s.gpu.name));
  assumptions.push_back(
      fmt::format("Decoding at its roofline: batches of {:.0f} at a context of {:.0f} tokens",
                  s.request.batch, s.context));
}

// A peak given by hand that is twice the dense one is the datasheet's figure for structured sparsity.
void add_own_peak(Json& measured, const Study& s, FlopRate rate) {
  if (!s.request.peak) return;
  const FlopRate dense = peak_rate(s.gpu, *s.precision), own = *s.request.peak;
  measured["own_peak_tflops_per_gpu"] = own.value / kTera;
  measured["mfu_of_own_peak"] = rate / own;
  const double ratio = own / dense;
  if (ratio > 1.9 && ratio < 2.1)
    measured["warning"] = fmt::format(
        "{:.0f} TFLOP/s is the figure of {} with structured sparsity; dense {} is {:.0f} TFLOP/s: MFU {:.1f} "
        "% of "
        "that, {:.1f} % of yours",
        own.value / kTera, s.gpu.name, s.precision->name, dense.value / kTera, 100 * (rate / dense),
        100 * (rate / own));
}

void add_grade(Json& json, const Study& s) {
  if (!s.request.measured) return;
  const double per_gpu = *s.request.measured / s.request.gpus;
  const FlopRate peak = peak_rate(s.gpu, *s.precision);
  Json by_convention;
  for (const FlopConvention c : kConventions)
    by_convention[std::string(name_of(c))] = per_gpu * s.per_token(c).value / peak.value;
  const FlopRate rate(per_gpu * s.per_token(FlopConvention::exact).value);
  const double mfu = rate / peak;
  const Grade grade = grade_of(mfu, s.model.is_moe(), published_mfus(s.gpu, *s.precision, s.library));
  Json m = {{"tokens_per_s_per_gpu", per_gpu},
            {"model_tflops_per_gpu", rate.value / kTera},
            {"mfu", mfu},
            {"mfu_by_convention", std::move(by_convention)}};
  add_own_peak(m, s, rate);
  if (mfu > 1) m["impossible"] = "more FLOPs than the GPU's peak: check tokens/s, --gpus and --precision";
  m["published_steps"] = grade.rows;
  if (grade.rows > 0) {
    m["grade"] = grade.letter;
    m["better_than_share"] = grade.share;
    m["published_median_mfu"] = grade.median;
    m["published_best"] = {{"id", grade.best.id}, {"model", grade.best.model}, {"mfu", grade.best.mfu}};
    m["compared_with"] = fmt::format("{} steps on {} in {}",
                                     grade.same_kind ? (s.model.is_moe() ? "expert-model" : "dense") : "all",
                                     s.gpu.name, s.precision->name);
  }
  json["measured"] = std::move(m);
}

// What was asked, with every default filled in.
Json request_json(const Study& s) {
  const ModelRequest& r = s.request;
  return {{"model", r.model},
          {"sequence", s.sequence},
          {"convention", name_of(s.convention)},
          {"gpu", r.gpu},
          {"precision", r.precision},
          {"software", r.software},
          {"optimizer", r.optimizer},
          {"gpus", r.gpus},
          {"batch", r.batch},
          {"context", s.context},
          {"tokens", json_of(r.tokens)},
          {"mfu", json_of(r.mfu)},
          {"usd_per_gpu_hour", r.price ? Json(r.price->value) : Json(nullptr)},
          {"measured_tokens_per_s", json_of(r.measured)},
          {"watts_per_gpu", r.power ? Json(r.power->value) : Json(nullptr)},
          {"pue", r.pue},
          {"kg_per_kwh", r.kg_per_kwh},
          {"peak_tflops", r.peak ? Json(r.peak->value / kTera) : Json(nullptr)}};
}

}  // namespace

nlohmann::ordered_json model_document(const ModelRequest& request, const Library& library) {
  const Study s = read(request, library);
  std::vector<std::string> assumptions;
  Json json = {{"schema_version", 1}, {"model", s.model.name}, {"convention", name_of(s.convention)}};
  add_counts(json, s);
  add_shares(json, s);
  add_memory(json, s);
  add_gpu_types(json, s);
  add_roofline(json, s);
  add_cost(json, s, assumptions);
  add_grade(json, s);
  assumptions.push_back(fmt::format("{:.1f} GiB a GPU for CUDA context and communicators (software {})",
                                    in_gib(s.software.framework_memory), s.software.name));
  assumptions.emplace_back(
      "Rooflines are bounds: kernels reach neither peak; `runcast step` simulates what they reach");
  assumptions.emplace_back(
      "Smaller and larger models have this one's proportions; a node shares states by ZeRO-3");
  json["request"] = request_json(s);
  json["provenance"] = {{"version", RUNCAST_VERSION},
                        {"scenario_hash", hash_of(json["request"].dump())},
                        {"assumptions", assumptions}};
  return json;
}

}  // namespace runcast
