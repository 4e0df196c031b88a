#include "scenarios/calibration_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "scenarios/accuracy.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

struct Selected {
  std::vector<MeasuredStep> steps;
  std::vector<const PublishedRow*> rows;  // [step]
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
  for (const PublishedRow& row : table.rows) {
    if (!wanted(row, request)) continue;
    std::string reason = row.unusable;
    if (reason.empty()) try {
        out.steps.push_back({row.id, row.family, read_row(row, library, settle(row, library)),
                             Seconds(row.measured_step_s), quality_weight(row)});
        out.rows.push_back(&row);
        continue;
      } catch (const ConfigError& error) {
        reason = error.what();
      }
    out.skipped.push_back({{"id", row.id}, {"reason", reason}});
  }
  if (out.steps.empty()) throw ConfigError("calibrate: no usable measured step is left to fit");
  std::map<std::string, double> repeats;
  for (const PublishedRow* row : out.rows) repeats[row->config] += 1;
  for (std::size_t i = 0; i < out.rows.size(); ++i)
    if (!out.rows[i]->config.empty()) out.steps[i].weight /= std::sqrt(repeats[out.rows[i]->config]);
  return out;
}

void check_request(const PublishedTable& table, const CalibrationRequest& request) {
  if (request.kind != "all" && request.kind != "dense" && request.kind != "moe")
    throw ConfigError(fmt::format("--only {}: choose dense, moe or all", request.kind));
  if (request.folds == 1 || request.folds < 0)
    throw ConfigError("--folds: at least 2, or 0 for no cross-validation");
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

Json steps_json(const Selected& selected, const Predictions& p) {
  Json list = Json::array();
  for (std::size_t i = 0; i < selected.steps.size(); ++i) {
    const MeasuredStep& step = selected.steps[i];
    const Scenario& s = step.scenario;
    Json one = {{"id", step.id},
                {"model", selected.rows[i]->model},
                {"gpu", s.node.gpu.name},
                {"gpus", s.gpus()},
                {"software", s.software.name},
                {"precision", s.training.precision->name},
                {"weight", step.weight},
                {"measured_s", step.measured.value},
                {"before_s", p.before[i]},
                {"fitted_s", p.after[i]},
                {"error", p.after[i] / step.measured.value - 1}};
    if (!p.unseen.empty()) {
      one["unseen_s"] = p.unseen[i];
      one["unseen_error"] = p.unseen[i] / step.measured.value - 1;
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

}  // namespace

CalibrationStudy::CalibrationStudy() : document(std::make_unique<Json>()) {}
CalibrationStudy::~CalibrationStudy() = default;
CalibrationStudy::CalibrationStudy(CalibrationStudy&&) noexcept = default;

CalibrationStudy calibration_study(const PublishedTable& table, const Library& library,
                                   const CalibrationRequest& request, const ExperimentOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  check_request(table, request);
  const std::vector<const Constant*> constants = constants_named(request.constants);
  const Selected selected = select_rows(table, library, request);
  CalibrationOptions fitting;
  fitting.seed = options.seed;
  fitting.threads = options.threads;
  fitting.iterations = request.iterations;
  fitting.folds = request.folds;
  fitting.progress = options.progress;
  const Calibration fit = calibrate(selected.steps, constants, fitting);

  CalibrationStudy study;
  Json& json = *study.document;
  json["schema_version"] = 1;
  json["rows"] = Json::array();
  for (const FittedConstant& f : fit.constants) json["rows"].push_back(constant_json(f));
  const Predictions predictions{fit.before, fit.after, fit.unseen};
  json["errors"] = errors_json(selected.steps, predictions);
  json["trade_offs"] = trade_offs_json(fit);
  json["steps"] = steps_json(selected, predictions);
  json["skipped"] = selected.skipped;
  json["cost"] = fit.steps;
  json["folds"] = request.folds;
  json["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  study.entries = calibrated_entries(library, fit.constants, used_entries(selected.steps), request.year);
  return study;
}

}  // namespace runcast
