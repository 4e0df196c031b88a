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

std::string signed_percent(double error) { return (error > 0 ? "+" : "") + percent(error); }

std::string constants_part(const Json& document) {
  Columns table;
  table.column("constant", Align::left);
  for (const char* name : {"value", "95 % interval", "start", "told by data", "steps"})
    table.column(name, Align::right);
  table.column("", Align::left);
  for (const Json& row : part_of(document, "rows"))
    table.row({text_of(row, "constant"),
               fmt::format("{} {}", number(number_of(row, "value")), text_of(row, "unit")),
               fmt::format("{} .. {}", number(number_of(row, "low"), 3), number(number_of(row, "high"), 3)),
               number(number_of(row, "start")), percent(number_of(row, "told_by_data")),
               number(number_of(row, "steps")), row["at_bound"].get<bool>() ? "at its bound" : ""});
  return table.text(2);
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
  Columns table;
  for (const char* name : {"worst steps", "model", "GPU", "software", "precision"})
    table.column(name, Align::left);
  for (const char* name : {"GPUs", "measured s", "fitted s", "error"}) table.column(name, Align::right);
  for (std::size_t i = 0; i < std::min<std::size_t>(steps.size(), 15); ++i) {
    const Json& s = *steps[i];
    table.row({text_of(s, "id"), text_of(s, "model"), text_of(s, "gpu"), text_of(s, "software"),
               text_of(s, "precision"), number(number_of(s, "gpus")), number(number_of(s, "measured_s")),
               number(number_of(s, "fitted_s")), signed_percent(number_of(s, "error"))});
  }
  return table.text(2);
}

std::string calibration_screen(const Json& document, const Style& style) {
  std::string out = heading("CONSTANTS", style) + "\n" + constants_part(document);
  for (const Json& pair : document["trade_offs"])
    out += fmt::format("  {} and {} trade off (correlation {}): measurements fix them together, not each\n",
                       text_of(pair, "first"), text_of(pair, "second"),
                       fixed(number_of(pair, "correlation"), 2));
  out += "\n" + heading("ERRORS", style) + "\n" + errors_part(document) + "\n" + worst_part(document);
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
  request.year = current_year();
  return request;
}

}  // namespace

Answer calibrate_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  PublishedTable table;
  if (arguments.has("cases"))
    table = read_published(read_text(arguments.last("cases"), "--cases"), arguments.last("cases"));
  else
    table = published_rows(invocation.library);
  Progress progress("iterations", arguments.has("quiet"));
  const ExperimentOptions options = experiment_options(invocation, progress);
  CalibrationStudy study = calibration_study(table, invocation.library, request_of(arguments), options);
  if (arguments.has("overlay")) write_entries(study.entries, arguments.last("overlay"));
  std::string screen = calibration_screen(*study.document, invocation.style);
  return Answer(std::move(*study.document), std::move(screen));
}

}  // namespace runcast
