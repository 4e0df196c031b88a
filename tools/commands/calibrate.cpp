// `runcast calibrate`: efficiency constants fitted to measured steps, shown with what the fit is worth, and
// written as a folder that `--library` lays over the library.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "scenarios/bench_calibration.hpp"
#include "scenarios/calibration_study.hpp"
#include "sim/error.hpp"
#include "tools/commands/command.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;
namespace fs = std::filesystem;

constexpr double kStill = 0.01;  // moved or told less than this: not shown

constexpr std::size_t kGrouped = 10;  // fewer steps are shown one by one only

std::string signed_percent(double error) { return (error > 0 ? "+" : "") + percent(error); }

std::string constants_part(const Json& document) {
  Columns table;
  table.column("constant", Align::left);
  for (const char* name : {"value", "95 % interval", "start", "told by data", "steps"})
    table.column(name, Align::right);
  table.column("", Align::left);
  std::size_t still = 0;
  for (const Json& row : part_of(document, "rows")) {
    if (std::abs(number_of(row, "factor") - 1) < kStill && number_of(row, "told_by_data") < kStill) {
      ++still;
      continue;
    }
    table.row({text_of(row, "constant"),
               fmt::format("{} {}", number(number_of(row, "value")), text_of(row, "unit")),
               fmt::format("{} .. {}", number(number_of(row, "low"), 3), number(number_of(row, "high"), 3)),
               number(number_of(row, "start")), percent(number_of(row, "told_by_data")),
               number(number_of(row, "steps")), row["at_bound"].get<bool>() ? "at its bound" : ""});
  }
  return table.text(2) +
         (still == 0 ? "" : fmt::format("  {} more, which the steps neither told nor moved\n", still));
}

std::string errors_part(const Json& document) {
  const bool crossed = document["folds"] > 0;
  Columns table;
  table.column("mean |error| (median, 90 %, bias)", Align::left);
  for (const char* name : {"steps", "before", "fitted"}) table.column(name, Align::right);
  if (crossed) table.column("families left out", Align::right);
  for (const Json& row : document["errors"]) {
    auto cell = [&](const char* key) {
      const Json& e = row[key];
      return fmt::format("{} ({}, {}, {})", percent(number_of(e, "mape")), percent(number_of(e, "median")),
                         percent(number_of(e, "p90")), signed_percent(number_of(e, "bias")));
    };
    std::vector<std::string> cells = {text_of(row, "group"), number(number_of(row, "steps")), cell("before"),
                                      cell("fitted")};
    if (crossed) cells.push_back(cell("unseen"));
    table.row(cells);
  }
  return table.text(2);
}

std::string worst_part(const Json& document) {
  std::vector<const Json*> steps;
  for (const Json& step : document["steps"]) steps.push_back(&step);
  std::stable_sort(steps.begin(), steps.end(), [](const Json* a, const Json* b) {
    return std::abs(number_of(*a, "error")) > std::abs(number_of(*b, "error"));
  });
  const bool simulated = !steps.empty() && steps.front()->contains("model");
  Columns table;
  table.column("worst first", Align::left);
  if (simulated)
    for (const char* name : {"model", "GPU", "software", "precision", "GPUs"})
      table.column(name, Align::left);
  for (const char* name : {"measured", "fitted", "error"}) table.column(name, Align::right);
  for (std::size_t i = 0; i < std::min<std::size_t>(steps.size(), 15); ++i) {
    const Json& s = *steps[i];
    std::vector<std::string> cells = {text_of(s, "id")};
    if (simulated) {
      for (const char* key : {"model", "gpu", "software", "precision"}) cells.push_back(text_of(s, key));
      cells.push_back(number(number_of(s, "gpus")));
    }
    cells.push_back(time_text(number_of(s, "measured_s")));
    cells.push_back(time_text(number_of(s, "fitted_s")));
    cells.push_back(signed_percent(number_of(s, "error")));
    table.row(cells);
  }
  return table.text(2);
}

std::string calibration_screen(const Json& document, const Style& style) {
  std::string out;
  if (document.contains("warnings"))
    for (const Json& warning : document["warnings"])
      out += fmt::format("warning: {}\n", warning.get<std::string>());
  out += heading("CONSTANTS", style) + "\n" + constants_part(document);
  for (const Json& pair : document["trade_offs"])
    out += fmt::format("  {} and {} trade off (correlation {}): measurements fix them together, not each\n",
                       text_of(pair, "first"), text_of(pair, "second"),
                       fixed(number_of(pair, "correlation"), 2));
  out += "\n" + heading("ERRORS", style) + "\n";
  if (document["steps"].size() >= kGrouped) out += errors_part(document) + "\n";
  out += worst_part(document);
  for (const Json& row : document["skipped"])
    out += fmt::format("  left out {}: {}\n", text_of(row, "id"), text_of(row, "reason"));
  return out;
}

// Texts between commas, of all uses of the option.
std::vector<std::string> listed(const Arguments& arguments, std::string_view option) {
  std::vector<std::string> words;
  for (const std::string& value : arguments.all(option)) {
    std::istringstream in(value);
    for (std::string word; std::getline(in, word, ',');)
      if (!word.empty()) words.push_back(word);
  }
  return words;
}

int current_year() {
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  return static_cast<int>(std::chrono::year_month_day(today).year());
}

void write_entries(const std::vector<LibraryEntry>& entries, const fs::path& folder) {
  for (const LibraryEntry& entry : entries) {
    const fs::path path = folder / entry.folder / (entry.name + "." + entry.suffix);
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    std::ofstream out(path, std::ios::binary);
    out << entry.text;
    if (!out.flush()) throw ConfigError(fmt::format("--overlay: cannot write {}", path.string()));
  }
}

CalibrationRequest request_of(const Arguments& arguments) {
  CalibrationRequest request;
  request.constants = listed(arguments, "constants");
  request.hardware = listed(arguments, "hardware");
  if (arguments.has("only")) request.kind = arguments.last("only");
  if (arguments.has("folds"))
    request.folds =
        static_cast<int>(std::min<std::int64_t>(whole_number(arguments.last("folds"), "folds", 0), 1000));
  if (arguments.has("iterations"))
    request.iterations = static_cast<int>(
        std::min<std::int64_t>(whole_number(arguments.last("iterations"), "iterations", 1), 1000));
  return request;
}

// "mine.yaml=5.31 s"
OwnStep own_step(const std::string& text, const Invocation& invocation) {
  const auto equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0)
    throw ConfigError(fmt::format("--step {}: write SCENARIO=TIME, such as mine.yaml=5.31s", text));
  const Seconds measured = parse_seconds(text.substr(equals + 1), "--step");
  if (measured.value <= 0)
    throw ConfigError(fmt::format("--step {}: the measured time must be more than 0", text));
  Document document = open_scenario(text.substr(0, equals), invocation);
  return {text.substr(0, equals), read_scenario(document, invocation.library), measured};
}

// What is measured: one of these options, or the library's table.
std::string source_of(const Arguments& arguments) {
  std::string source;
  for (const char* option : {"cases", "step", "gemm", "nccl"}) {
    if (!arguments.has(option)) continue;
    if (!source.empty())
      throw ConfigError(fmt::format("--{} and --{}: fit one kind of measurement at a time", source, option));
    source = option;
  }
  return source;
}

// Options that say something about other sources than this one.
void refuse(const Arguments& arguments, const std::string& source,
            std::initializer_list<const char*> options) {
  for (const char* option : options)
    if (arguments.has(option)) throw ConfigError(fmt::format("--{} does not go with --{}", option, source));
}

CalibrationStudy own_study(const Invocation& invocation, CalibrationRequest request,
                           const ExperimentOptions& options) {
  refuse(invocation.arguments, "step", {"only", "hardware", "folds", "gpu", "node"});
  std::vector<OwnStep> own;
  for (const std::string& text : invocation.arguments.all("step")) own.push_back(own_step(text, invocation));
  request.origin = fmt::format("own steps, {}", current_year());
  return anchor_study(own, invocation.library, request, options);
}

// Times of kernels or collectives for the entry that `entry` names.
CalibrationStudy file_study(const Invocation& invocation, const std::string& source, const std::string& entry,
                            CalibrationRequest request, const ExperimentOptions& options) {
  const Arguments& arguments = invocation.arguments;
  refuse(arguments, source, {"only", "hardware", "folds", "constants", entry == "gpu" ? "node" : "gpu"});
  if (!arguments.has(entry))
    throw ConfigError(fmt::format("--{} needs --{} NAME: whose entry it is about", source, entry));
  const std::string path = arguments.last(source), text = read_text(path, "--" + source),
                    name = arguments.last(entry);
  request.origin = fmt::format("{}, {}", fs::path(path).filename().string(), current_year());
  if (source == "gemm") return gemm_study(text, path, name, invocation.library, request, options);
  return nccl_study(read_nccl_tests(text, path), name, invocation.library, request, options);
}

CalibrationStudy table_study(const Invocation& invocation, CalibrationRequest request,
                             const ExperimentOptions& options) {
  const Arguments& arguments = invocation.arguments;
  for (const auto& [option, file] : {std::pair("gpu", "gemm"), std::pair("node", "nccl")})
    if (arguments.has(option)) throw ConfigError(fmt::format("--{} is for --{} FILE", option, file));
  if (!arguments.has("cases")) {
    request.origin = fmt::format("published steps, {}", current_year());
    return calibration_study(published_rows(invocation.library), invocation.library, request, options);
  }
  const std::string path = arguments.last("cases");
  request.origin = fmt::format("{}, {}", fs::path(path).filename().string(), current_year());
  return calibration_study(read_published(read_text(path, "--cases"), path), invocation.library, request,
                           options);
}

CalibrationStudy study_of(const Invocation& invocation, const CalibrationRequest& request,
                          const ExperimentOptions& options) {
  const std::string source = source_of(invocation.arguments);
  if (source == "step") return own_study(invocation, request, options);
  if (source == "gemm") return file_study(invocation, source, "gpu", request, options);
  if (source == "nccl") return file_study(invocation, source, "node", request, options);
  return table_study(invocation, request, options);
}

}  // namespace

Answer calibrate_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  Progress progress("iterations", arguments.has("quiet"));
  const ExperimentOptions options = experiment_options(invocation, progress);
  CalibrationStudy study = study_of(invocation, request_of(arguments), options);
  if (arguments.has("overlay")) write_entries(study.entries, arguments.last("overlay"));
  std::string screen = calibration_screen(*study.document, invocation.style);
  return Answer(std::move(*study.document), std::move(screen));
}

}  // namespace runcast
