#include "scenarios/validation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "parallelism/precision.hpp"
#include "scenarios/accuracy.hpp"
#include "sim/error.hpp"
#include "sim/threads.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

// ---- predictions
// --------------------------------------------------------------------------------------------

// "name:3:5: sentence" lines without their place in a text that the user never saw, and without the source
// lines.
std::string sentences(const std::string& message, const std::string& document) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < message.size();) {
    const std::size_t end = std::min(message.find('\n', at), message.size());
    std::string line = message.substr(at, end - at);
    at = end + 1;
    if (line.starts_with(document)) {
      const std::size_t colon = line.find(": ", document.size());
      if (colon == std::string::npos) continue;
      line.erase(0, colon + 2);
    } else if (line.starts_with(' ')) {
      continue;  // a source line or its caret
    }
    found.push_back(std::move(line));
  }
  return fmt::format("{}", fmt::join(found, "; "));
}

void add_range(const PublishedRow& row, const Library& library, const OpenChoices& settled,
               std::uint64_t seed, RowPrediction& p) {
  const bool fits = p.peak_gib <= p.capacity_gib;
  double low = p.step_s, high = p.step_s;
  bool any = false;
  for (const OpenChoices& other : alternatives(row, settled)) {
    try {
      const StepExperiment e = simulate(read_row(row, library, other), seed);
      if (fits && !e.memory.fits) continue;
      const double time = to_seconds(e.step.time).value;
      low = std::min(low, time);
      high = std::max(high, time);
      any = true;
    } catch (const ConfigError&) {  // this value is not legal here: it was not the source's
    }
  }
  if (any) p.range_low = low, p.range_high = high;
}

RowPrediction predict(const PublishedRow& row, const Library& library, std::uint64_t seed, bool ranges) {
  RowPrediction p;
  try {
    const OpenChoices choices = settle(row, library);
    const Scenario s = read_row(row, library, choices);
    const StepExperiment e = simulate(s, seed);
    p.step_s = to_seconds(e.step.time).value;
    p.breakdown = e.step.breakdown;
    p.peak_gib = in_gib(e.memory.peak);
    p.capacity_gib = in_gib(e.memory.capacity);
    p.flops = e.step.model_flops.value;
    p.active_parameters = static_cast<double>(count_parameters(s.model).active);
    p.peak_rate = peak_rate(s.node.gpu, *s.training.precision).value;
    p.assumptions = scenario_of(row, library, choices).assumptions;
    if (!e.memory.fits) p.assumptions.push_back("the memory model says that it does not fit, though it ran");
    if (ranges) add_range(row, library, choices, seed, p);
  } catch (const ConfigError& error) {
    p.skipped = sentences(error.what(), "published:" + row.id);
  }
  return p;
}

// ---- results as JSON
// ----------------------------------------------------------------------------------------

struct Case {
  const PublishedRow* row;
  const RowPrediction* prediction;
  double error() const { return prediction->step_s / row->measured_step_s - 1; }
  double per_token(double step_s) const { return step_s * static_cast<double>(row->gpus) / row->tokens(); }
};
using Cases = std::vector<Case>;
using Filter = std::function<bool(const PublishedRow&)>;

bool every(const PublishedRow&) { return true; }
bool dense(const PublishedRow& row) { return !row.is_moe(); }
bool moe(const PublishedRow& row) { return row.is_moe(); }
bool nvidia_stack(const PublishedRow& row) {
  return row.framework == "megatron" || row.framework == "nemo" || row.framework == "megatron_bridge";
}

Cases select(const Cases& cases, const Filter& keep) {
  Cases kept;
  for (const Case& c : cases)
    if (keep(*c.row)) kept.push_back(c);
  return kept;
}

std::vector<double> errors_of(const Cases& cases) {
  std::vector<double> errors;
  for (const Case& c : cases) errors.push_back(c.error());
  return errors;
}

Json summary_json(const ErrorSummary& s) {
  if (s.rows == 0)
    return {{"rows", 0}, {"mape", nullptr}, {"median", nullptr}, {"p90", nullptr}, {"bias", nullptr}};
  return {{"rows", s.rows}, {"mape", s.mape}, {"median", s.median}, {"p90", s.p90}, {"bias", s.bias}};
}

Json by_kind(const std::function<Json(const Filter&)>& of) {
  Json json = of(every);
  json["dense"] = of(dense);
  json["moe"] = of(moe);
  return json;
}

Json row_json(const Case& c) {
  const PublishedRow& row = *c.row;
  const RowPrediction& p = *c.prediction;
  Json json = {{"id", row.id},
               {"measured_step_s", row.measured_step_s},
               {"predicted_step_s", p.step_s},
               {"error", c.error()},
               {"model", row.model},
               {"hardware", row.hardware},
               {"precision", row.precision},
               {"framework", row.framework},
               {"moe", row.is_moe()},
               {"gpus", row.gpus}};
  if (p.range_high > 0) json["range"] = {p.range_low, p.range_high};
  json["mfu"] =
      p.peak_rate > 0 ? Json(p.flops / (p.step_s * static_cast<double>(row.gpus) * p.peak_rate)) : Json();
  json["peak_gib"] = p.peak_gib;
  if (row.measured_peak_gb > 0) json["measured_peak_gb"] = row.measured_peak_gb;
  json["fits"] = p.peak_gib <= p.capacity_gib;
  if (!row.quality.empty()) json["quality"] = row.quality;
  if (!row.outlier.empty()) json["outlier"] = row.outlier;
  json["breakdown_s"] = breakdown_json(p.breakdown);
  json["assumptions"] = p.assumptions;
  return json;
}

void add_groups(Json& groups, const Cases& cases,
                const std::function<std::string(const PublishedRow&)>& key) {
  std::map<std::string, std::vector<double>> errors;
  for (const Case& c : cases) {
    const std::string name = key(*c.row);
    if (!name.empty()) errors[name].push_back(c.error());
  }
  for (const auto& [name, list] : errors) {
    Json group = {{"key", name}};
    group.update(summary_json(summarize(list)));
    groups.push_back(std::move(group));
  }
}

Json groups_json(const Cases& cases) {
  Json groups = Json::array();
  auto kind = [](const PublishedRow& r) { return r.is_moe() ? "moe" : "dense"; };
  add_groups(groups, cases, [&](const PublishedRow& r) { return std::string(kind(r)); });
  add_groups(groups, cases, [&](const PublishedRow& r) {
    return nvidia_stack(r) ? fmt::format("nvidia-stack {}", kind(r)) : std::string();
  });
  add_groups(groups, cases,
             [](const PublishedRow& r) { return r.gpus <= 8 ? std::string("gpus<=8") : std::string(); });
  add_groups(groups, cases, [](const PublishedRow& r) {
    return r.outlier.empty() ? std::string("without outliers") : std::string();
  });
  add_groups(groups, cases, [](const PublishedRow& r) { return "hardware=" + r.hardware; });
  add_groups(groups, cases, [](const PublishedRow& r) { return "precision=" + r.precision; });
  add_groups(groups, cases, [](const PublishedRow& r) { return "framework=" + r.framework; });
  add_groups(groups, cases, [](const PublishedRow& r) {
    return r.moe_impl.empty() ? std::string() : "moe_impl=" + r.moe_impl;
  });
  add_groups(groups, cases, [&](const PublishedRow& r) {
    return fmt::format("hardware={} precision={} framework={} {}", r.hardware, r.precision, r.framework,
                       kind(r));
  });
  return groups;
}

// ---- ordering, changes, anchors
// -----------------------------------------------------------------------------

std::vector<ComparedCase> compared(const Cases& cases,
                                   const std::function<std::string(const PublishedRow&)>& group) {
  std::vector<ComparedCase> list;
  for (const Case& c : cases)
    list.push_back({group(*c.row), c.per_token(c.row->measured_step_s), c.per_token(c.prediction->step_s),
                    c.row->config});
  return list;
}

std::string model_on_machine(const PublishedRow& r) { return r.model_key() + " on " + r.hardware; }
std::string like_for_like(const PublishedRow& r) {
  return fmt::format("{} {} s{}", model_on_machine(r), r.precision, r.seq_len);
}

Json ordering_json(const Cases& cases) {
  auto of = [&](const Filter& keep, auto group) -> Json {
    const Ordering o = pair_ordering(compared(select(cases, keep), group));
    const bool none = o.pairs == 0;
    return {{"pairs", o.pairs},
            {"share_right", none ? Json() : Json(o.share_right)},
            {"spearman", none ? Json() : Json(o.spearman)}};
  };
  Json json = by_kind([&](const Filter& keep) { return of(keep, model_on_machine); });
  json["same_precision_and_sequence"] = of(every, like_for_like);
  return json;
}

// Rows that differ in their layout alone: whether the best of them is told.
Json sweeps_json(const Cases& cases) {
  const auto group = [](const PublishedRow& r) {
    return fmt::format("{} {} s{} on {} GPUs, batch {}, {}", model_on_machine(r), r.precision, r.seq_len, r.gpus,
                       r.global_batch, r.framework);
  };
  Json list = Json::array();
  std::vector<double> all;
  for (const SweepOrder& sweep : sweep_orders(compared(cases, group))) {
    list.push_back({{"sweep", sweep.group}, {"rows", sweep.cases}, {"spearman", sweep.spearman}});
    all.push_back(sweep.spearman);
  }
  return {{"median", all.empty() ? Json() : Json(quantile(all, 0.5))}, {"sweeps", std::move(list)}};
}

const std::vector<std::string> kChangeNames = {"precision",
                                               "gpus",
                                               "global_batch",
                                               "micro_batch",
                                               "seq_len",
                                               "tp",
                                               "sp",
                                               "pp",
                                               "vp",
                                               "cp",
                                               "ep",
                                               "etp",
                                               "recompute",
                                               "sharding",
                                               "moe_impl",
                                               "ep_overlap",
                                               "moe_dispatcher",
                                               "network"};

std::vector<std::string> change_values(const PublishedRow& r) {
  auto text = [](std::int64_t value) { return std::to_string(value); };
  return {r.precision + r.fp8_recipe,
          text(r.gpus),
          text(r.global_batch),
          text(r.micro_batch),
          text(r.seq_len),
          text(r.tp),
          r.sp ? "yes" : "no",
          text(r.pp),
          text(r.vp),
          text(r.cp),
          text(r.ep),
          text(r.etp),
          fmt::format("{} {}", r.recompute, fmt::join(r.recompute_modules, " ")),
          r.sharding,
          r.moe_impl,
          r.ep_overlap ? "yes" : "no",
          r.moe_dispatcher,
          fmt::format("{}", r.network_gbps)};
}

// The batch grows with the GPUs (weak scaling) or shrinks with the sequence; virtual stages follow the
// pipeline, and sequence parallelism the tensor degree.
bool follows(std::size_t changed, std::size_t other) {
  const std::string &a = kChangeNames[changed], &b = kChangeNames[other];
  return (b == "global_batch" && (a == "gpus" || a == "seq_len")) || (a == "pp" && b == "vp") ||
         (a == "tp" && b == "sp");
}

Json one_change_json(const Cases& cases) {
  std::vector<ChangeCase> list;
  for (const Case& c : cases) {
    const PublishedRow& r = *c.row;
    list.push_back({fmt::format("{} | {} | {} | {} | {} | {}", r.model_key(), r.hardware, r.framework,
                                r.source_key, r.release, r.flash),
                    change_values(r), c.per_token(r.measured_step_s), c.per_token(c.prediction->step_s)});
  }
  Json by = Json::object();
  std::size_t pairs = 0;
  double sum = 0;
  for (const auto& [name, change] : one_change(list, kChangeNames, follows)) {
    by[name] = {{"pairs", change.pairs}, {"mean_error", change.mean_error}};
    pairs += change.pairs;
    sum += change.mean_error * static_cast<double>(change.pairs);
  }
  return {{"pairs", pairs},
          {"mean_error", pairs > 0 ? Json(sum / static_cast<double>(pairs)) : Json()},
          {"by", std::move(by)}};
}

// ---- what the errors are judged by
// --------------------------------------------------------------------------

// Every GPU of one kind at one precision reaches the same share of its peak: the median of these very rows.
std::vector<double> constant_mfu_errors(const Cases& cases) {
  std::map<std::string, std::vector<double>> rates;
  auto key = [](const Case& c) { return c.row->hardware + " " + c.row->precision; };
  auto rate = [](const Case& c) {
    return c.prediction->flops / (c.row->measured_step_s * static_cast<double>(c.row->gpus));
  };
  for (const Case& c : cases) rates[key(c)].push_back(rate(c));
  std::vector<double> errors;
  for (const Case& c : cases) errors.push_back(rate(c) / quantile(rates[key(c)], 0.5) - 1);
  return errors;
}

// 6 FLOPs per active parameter and token at 40 % of the dense peak.
std::vector<double> six_n_errors(const Cases& cases) {
  std::vector<double> errors;
  for (const Case& c : cases) {
    const RowPrediction& p = *c.prediction;
    if (p.peak_rate <= 0) continue;
    const double time =
        6 * p.active_parameters * c.row->tokens() / (0.4 * p.peak_rate * static_cast<double>(c.row->gpus));
    errors.push_back(time / c.row->measured_step_s - 1);
  }
  return errors;
}

Json baselines_json(const Cases& cases) {
  auto of = [&](auto errors) {
    return by_kind([&](const Filter& keep) { return summary_json(summarize(errors(select(cases, keep)))); });
  };
  return {{"constant_mfu", of(constant_mfu_errors)}, {"6nd_40", of(six_n_errors)}};
}

Json floor_json(const Cases& cases) {
  return by_kind([&](const Filter& keep) {
    std::vector<Measured> rows;
    for (const Case& c : select(cases, keep)) rows.push_back({c.row->config, c.row->measured_step_s});
    return summary_json(remeasurement_floor(rows));
  });
}

// With one measurement of the same model, machine and software as an anchor.
Json anchored_json(const Cases& cases) {
  return by_kind([&](const Filter& keep) {
    const auto list = compared(select(cases, keep), [](const PublishedRow& r) {
      return fmt::format("{} {} {}", model_on_machine(r), r.framework, r.precision);
    });
    return summary_json(summarize(anchored_errors(list)));
  });
}

// Peaks that sources print as GB are PyTorch's, which counts 2^30 bytes.
Json memory_json(const Cases& cases) {
  std::vector<double> errors;
  for (const Case& c : cases)
    if (c.row->measured_peak_gb > 0) errors.push_back(c.prediction->peak_gib / c.row->measured_peak_gb - 1);
  return summary_json(summarize(errors));
}

Json document_of(const PublishedTable& table, const std::vector<RowPrediction>& predictions) {
  Cases cases;
  Json rows = Json::array(), skipped = Json::array();
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (predictions[i].skipped.empty()) {
      cases.push_back({&table.rows[i], &predictions[i]});
      rows.push_back(row_json(cases.back()));
    } else {
      skipped.push_back({{"id", table.rows[i].id}, {"reason", predictions[i].skipped}});
    }
  }
  Json json = {{"schema_version", 1}, {"rows", std::move(rows)}, {"skipped", std::move(skipped)}};
  json["groups"] = groups_json(cases);
  const Json all = summary_json(summarize(errors_of(cases)));
  for (const char* key : {"mape", "median", "p90", "bias"}) json[key] = all[key];
  json["dense"] = summary_json(summarize(errors_of(select(cases, dense))));
  json["moe"] = summary_json(summarize(errors_of(select(cases, moe))));
  json["ordering"] = ordering_json(cases);
  json["layout_sweeps"] = sweeps_json(cases);
  json["one_change"] = one_change_json(cases);
  json["baselines"] = baselines_json(cases);
  json["remeasurement_floor"] = floor_json(cases);
  json["anchored"] = anchored_json(cases);
  json["memory"] = memory_json(cases);
  if (!table.ignored_columns.empty()) json["ignored_columns"] = table.ignored_columns;
  return json;
}

}  // namespace

std::vector<RowPrediction> predict_rows(std::span<const PublishedRow> rows, const Library& library,
                                        const ExperimentOptions& options, bool ranges) {
  std::vector<RowPrediction> predictions(rows.size());
  std::atomic<std::size_t> next{0};
  std::int64_t done = 0;
  std::mutex lock;
  std::exception_ptr failure;
  auto work = [&] {
    for (std::size_t i = next++; i < rows.size(); i = next++) {
      try {
        predictions[i] = predict(rows[i], library, options.seed, ranges);
      } catch (...) {
        const std::scoped_lock hold(lock);
        if (!failure) failure = std::current_exception();
        return;
      }
      const std::scoped_lock hold(lock);
      ++done;
      if (options.progress) options.progress(done, static_cast<std::int64_t>(rows.size()));
    }
  };
  auto helpers = helping_threads(options.threads - 1, [&](int) { work(); });
  work();
  helpers.clear();
  if (failure) std::rethrow_exception(failure);
  return predictions;
}

nlohmann::ordered_json validate_document(const std::optional<CasesFile>& cases, const Library& library,
                                         const ExperimentOptions& options) {
  const PublishedTable table = cases ? read_published(cases->text, cases->name) : published_rows(library);
  if (table.rows.empty())
    throw ConfigError(
        fmt::format("{}: no rows below the header", cases ? cases->name : "published/training_steps"));
  const std::vector<RowPrediction> predictions = predict_rows(table.rows, library, options, true);
  const bool any =
      std::any_of(predictions.begin(), predictions.end(), [](const auto& p) { return p.skipped.empty(); });
  if (!any) {
    std::vector<std::string> reasons;
    for (std::size_t i = 0; i < std::min<std::size_t>(predictions.size(), 20); ++i)
      reasons.push_back(table.rows[i].unusable.empty()
                            ? fmt::format("{}: {}", table.rows[i].where, predictions[i].skipped)
                            : predictions[i].skipped);
    throw ConfigError(fmt::format("{}", fmt::join(reasons, "\n")));
  }
  Json json = document_of(table, predictions);
  json["provenance"] = {{"version", RUNCAST_VERSION}, {"seed", options.seed}};
  return json;
}

}  // namespace runcast
