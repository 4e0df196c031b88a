#include "scenarios/calibration_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "scenarios/accuracy.hpp"
#include "scenarios/prediction.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

// One's own steps on one's own cluster: the model's error on it is what is looked for, and few of them may say
// different things. 711 pairs of published dense steps of one model and machine: an anchor so weighed takes the error
// on the others from 9.2 to 5.9 %, a plain ratio of times to 6.9 % [measured with `calibrate` before its first fit].
constexpr double kOwnNoise = 0.02, kOwnLossWidth = 10;

// Single kernels and collectives scatter more than whole steps, and the forms of their times err by about 4 to 10 %
// by shape [accuracy study: 4.0 % on 183 A100 GEMMs].
constexpr double kBenchmarkNoise = 0.06, kBenchmarkLossWidth = 0.15;
// A part that is not quite the bottleneck shows when it gets slower, not when it gets faster.
constexpr double kBenchmarkDifference = -0.1;

struct Selected {
  std::vector<MeasuredStep> steps;
  std::vector<std::string> models;  // [step] as the table calls them
  Json skipped = Json::array();
};

double quality_weight(const PublishedRow& row) {
  const double weight = row.quality == "high" ? 1.0 : row.quality == "low" ? 0.4 : 0.7;  // assumption
  // MoE steps of one configuration, measured again, spread by 6-8 %, dense ones by 2 % [accuracy study].
  const double kind = row.is_moe() ? 0.5 : 1;
  return kind * (row.outlier.empty() ? weight : 0.3 * weight);  // outlier: far from its own siblings
}

bool wanted(const PublishedRow& row, const CalibrationRequest& request) {
  if (request.kind != "all" && (request.kind == "moe") != row.is_moe()) return false;
  if (request.hardware.empty()) return true;
  return std::find(request.hardware.begin(), request.hardware.end(), row.hardware) != request.hardware.end();
}

// The scenario of each wanted row, made once. Rows that cannot become one are told with the reason.
Selected select_rows(const PublishedTable& table, const Library& library, const CalibrationRequest& request) {
  Selected out;
  std::vector<std::string> configs;
  std::map<std::string, double> repeats;
  for (const PublishedRow& row : table.rows) {
    if (!wanted(row, request)) continue;
    std::string reason = row.unusable;
    if (reason.empty()) try {
        out.steps.push_back({row.id, row.family, read_row(row, library, settle(row, library)),
                             Seconds(row.measured_step_s), quality_weight(row)});
        out.models.push_back(row.model);
        configs.push_back(row.config.empty() ? row.id : row.config);
        repeats[configs.back()] += 1;
        continue;
      } catch (const ConfigError& error) {
        reason = error.what();
      }
    out.skipped.push_back({{"id", row.id}, {"reason", reason}});
  }
  if (out.steps.empty()) throw ConfigError("calibrate: no usable measured step is left to fit");
  for (std::size_t i = 0; i < configs.size(); ++i) out.steps[i].weight /= std::sqrt(repeats[configs[i]]);
  return out;
}

void check_request(const PublishedTable& table, const CalibrationRequest& request) {
  if (request.kind != "all" && request.kind != "dense" && request.kind != "moe")
    throw ConfigError(fmt::format("--only {}: choose dense, moe or all", request.kind));
  if (request.folds == 1 || request.folds < 0)
    throw ConfigError("--folds: at least 2, or 0 for no cross-validation");
  constants_named(request.constants);
  std::set<std::string> known;
  for (const PublishedRow& row : table.rows) known.insert(row.hardware);
  for (const std::string& name : request.hardware)
    if (!known.contains(name))
      throw ConfigError(fmt::format("--hardware {}: no row was measured on it; the rows are of {}", name,
                                    fmt::join(known, ", ")));
}

// ---- the document
// -------------------------------------------------------------------------------------------

// A fitted value in the unit of the library's files.
Json constant_json(const FittedConstant& f) {
  const FittedField& field = f.constant->fields.front();
  const double unit = field.unit_value;
  return {{"constant", f.constant->name},
          {"value", f.value / unit},
          {"low", f.interval.low / unit},
          {"high", f.interval.high / unit},
          {"start", f.start / unit},
          {"factor", f.factor},
          {"unit", field.unit},
          {"told_by_data", f.told},
          {"at_bound", f.at_bound},
          {"steps", f.rows},
          {"meaning", f.constant->sentence},
          {"key", field.key}};
}

Json error_json(const std::vector<double>& errors) {
  const ErrorSummary e = summarize(std::span<const double>(errors));
  return {{"mape", e.mape}, {"median", e.median}, {"p90", e.p90}, {"bias", e.bias}};
}

// The labels under which a step's error is counted.
std::vector<std::string> groups_of(const MeasuredStep& step) {
  if (step.predict) return {"all"};
  const Scenario& s = step.scenario;
  const std::string kind = s.model.is_moe() ? "moe" : "dense";
  std::vector<std::string> groups = {"all", kind};
  if (s.software.name == "megatron" || s.software.name == "nemo" || s.software.name == "megatron-bridge")
    groups.push_back(kind + ", NVIDIA stack");
  if (s.gpus() <= 8) groups.push_back(kind + ", at most 8 GPUs");
  groups.push_back(fmt::format("{} {} {}", kind, s.node.gpu.name, s.training.precision->name));
  groups.push_back(fmt::format("{} {}", kind, s.software.name));
  return groups;
}

struct Predictions {
  const std::vector<double>&before, &after, &unseen;  // unseen is empty without cross-validation
};

Json errors_json(const std::vector<MeasuredStep>& steps, const Predictions& p) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < steps.size(); ++i)
    for (const std::string& group : groups_of(steps[i])) {
      if (!members.contains(group)) order.push_back(group);
      members[group].push_back(i);
    }
  std::sort(order.begin(), order.end());
  Json list = Json::array();
  for (const std::string& group : order) {
    auto error = [&](const std::vector<double>& all) {
      std::vector<double> errors;
      for (const std::size_t i : members[group]) errors.push_back(all[i] / steps[i].measured.value - 1);
      return error_json(errors);
    };
    Json one = {{"group", group},
                {"steps", members[group].size()},
                {"before", error(p.before)},
                {"fitted", error(p.after)}};
    if (!p.unseen.empty()) one["unseen"] = error(p.unseen);
    list.push_back(std::move(one));
  }
  return list;
}

// What stands before the numbers of a simulated step.
Json label_json(const MeasuredStep& step, const std::string& model) {
  const Scenario& s = step.scenario;
  if (step.predict) return {{"id", step.id}};
  return {{"id", step.id},
          {"model", model},
          {"gpu", s.node.gpu.name},
          {"gpus", s.gpus()},
          {"software", s.software.name},
          {"precision", s.training.precision->name}};
}

Json steps_json(const Selected& selected, const Predictions& p) {
  Json list = Json::array();
  for (std::size_t i = 0; i < selected.steps.size(); ++i) {
    const double measured = selected.steps[i].measured.value;
    Json one = label_json(selected.steps[i], selected.models[i]);
    one["weight"] = selected.steps[i].weight;
    one["measured_s"] = measured;
    one["before_s"] = p.before[i];
    one["fitted_s"] = p.after[i];
    one["error"] = p.after[i] / measured - 1;
    if (!p.unseen.empty()) {
      one["unseen_s"] = p.unseen[i];
      one["unseen_error"] = p.unseen[i] / measured - 1;
    }
    list.push_back(std::move(one));
  }
  return list;
}

Json trade_offs_json(const Calibration& fit) {
  Json list = Json::array();
  for (const TradeOff& t : fit.trade_offs)
    list.push_back({{"first", fit.constants[t.first].constant->name},
                    {"second", fit.constants[t.second].constant->name},
                    {"correlation", t.correlation}});
  return list;
}

std::vector<std::string> used_entries(const std::vector<MeasuredStep>& steps) {
  std::set<std::string> used;
  for (const MeasuredStep& step : steps) {
    const Scenario& s = step.scenario;
    for (const std::string& place : {"hardware/gpus/" + s.node.gpu.name, "hardware/nodes/" + s.node.name,
                                     "fabrics/" + s.fabric.name, "software/" + s.software.name})
      used.insert(place);
  }
  return {used.begin(), used.end()};
}

// The errors on unseen rows, from which prediction intervals are made.
LibraryEntry residual_entry(const std::vector<MeasuredStep>& steps, const std::vector<double>& unseen) {
  std::vector<Residual> residuals;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Scenario& s = steps[i].scenario;
    residuals.push_back({s.node.gpu.name, std::string(s.training.precision->name), s.software.name,
                         s.model.is_moe(), static_cast<double>(s.layout.world()),
                         unseen[i] / steps[i].measured.value - 1});
  }
  return {"published", "residuals", "csv", "published/residuals.csv", residuals_csv(residuals)};
}

// Fits, and tells what came out.
CalibrationStudy fitted_study(const Selected& selected, const std::vector<const Constant*>& constants,
                              const Library& library, const CalibrationRequest& request,
                              CalibrationOptions fitting, const ExperimentOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  fitting.seed = options.seed;
  fitting.threads = options.threads;
  fitting.iterations = request.iterations;
  fitting.progress = options.progress;
  const Calibration fit = calibrate(selected.steps, constants, fitting);
  CalibrationStudy study;
  Json& json = *study.document;
  json["schema_version"] = 1;
  json["fitted_on"] = request.origin;
  json["rows"] = Json::array();
  for (const FittedConstant& f : fit.constants) json["rows"].push_back(constant_json(f));
  const Predictions predictions{fit.before, fit.after, fit.unseen};
  json["errors"] = errors_json(selected.steps, predictions);
  json["trade_offs"] = trade_offs_json(fit);
  json["steps"] = steps_json(selected, predictions);
  json["skipped"] = selected.skipped;
  json["cost"] = fit.steps;
  json["folds"] = fitting.folds;
  json["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  study.entries = calibrated_entries(library, fit.constants, used_entries(selected.steps), request.origin);
  if (!fit.unseen.empty()) study.entries.push_back(residual_entry(selected.steps, fit.unseen));
  return study;
}

}  // namespace

CalibrationStudy::CalibrationStudy() : document(std::make_unique<Json>()) {}
CalibrationStudy::~CalibrationStudy() = default;
CalibrationStudy::CalibrationStudy(CalibrationStudy&&) noexcept = default;

CalibrationStudy calibration_study(const PublishedTable& table, const Library& library,
                                   const CalibrationRequest& request, const ExperimentOptions& options) {
  check_request(table, request);
  const Selected selected = select_rows(table, library, request);
  CalibrationOptions fitting;
  fitting.folds = request.folds;
  return fitted_study(selected, constants_named(request.constants), library, request, fitting, options);
}

CalibrationStudy anchor_study(const std::vector<OwnStep>& own, const Library& library,
                              const CalibrationRequest& request, const ExperimentOptions& options) {
  Selected selected;
  for (const OwnStep& step : own) {
    selected.steps.push_back({step.name, step.name, step.scenario, step.measured});
    selected.models.push_back(step.scenario.model.name);
  }
  CalibrationOptions fitting;
  fitting.noise = kOwnNoise;
  fitting.loss_width = kOwnLossWidth;
  return fitted_study(selected, constants_named(request.constants), library, request, fitting, options);
}

CalibrationStudy benchmark_study(const std::vector<MeasuredStep>& measured,
                                 const std::vector<Constant>& constants, const Library& library,
                                 const CalibrationRequest& request, const ExperimentOptions& options) {
  Selected selected;
  selected.steps = measured;
  selected.models.resize(measured.size());
  std::vector<const Constant*> pointers;
  for (const Constant& c : constants) pointers.push_back(&c);
  CalibrationOptions fitting;
  fitting.noise = kBenchmarkNoise;
  fitting.loss_width = kBenchmarkLossWidth;
  fitting.difference = kBenchmarkDifference;
  return fitted_study(selected, pointers, library, request, fitting, options);
}

}  // namespace runcast
