// Chooses the measured steps that a scenario is like, and turns their errors into an interval.
#include "scenarios/prediction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "scenarios/csv.hpp"
#include "sim/statistics.hpp"

namespace runcast {

namespace {

constexpr std::array<std::string_view, 6> kColumns = {"gpu",     "precision", "software",
                                                      "experts", "gpus",      "error"};

double number(const std::string& text, const std::string& where) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw ConfigError(fmt::format("{}: '{}' is no number", where, text));
  return value;
}

// From the most to the least alike; the first with enough rows is taken.
struct Likeness {
  bool gpu, precision, software;
  std::string_view words;
};
constexpr std::array<Likeness, 5> kLikeness = {
    {{true, true, true, "the same GPU, number format and software"},
     {true, true, false, "the same GPU and number format"},
     {true, false, false, "the same GPU"},
     {false, true, false, "the same number format, on other GPUs"},
     {false, false, false, "any hardware and software"}}};

bool alike(const Likeness& l, const Residual& r, const Scenario& s) {
  return r.experts == s.model.is_moe() && (!l.gpu || r.gpu == s.node.gpu.name) &&
         (!l.precision || r.precision == s.training.precision->name) &&
         (!l.software || r.software == s.software.name);
}

std::string distance(const Scenario& s, std::span<const Residual> residuals, const Likeness& used) {
  if (!used.gpu)
    return fmt::format("too few measured steps on {}: the interval is borrowed from {}", s.node.gpu.name,
                       used.words);
  double most = 0;
  for (const Residual& r : residuals)
    if (r.gpu == s.node.gpu.name) most = std::max(most, r.gpus);
  if (s.layout.world() > 2 * most)
    return fmt::format("{} GPUs are more than twice the largest measured job on {} ({:.0f})",
                       s.layout.world(), s.node.gpu.name, most);
  return "";
}

}  // namespace

std::vector<Residual> read_residuals(const Library& library) {
  const LibraryEntry* entry = library.find("published", "residuals");
  if (entry == nullptr) return {};
  const CsvTable table = parse_csv(entry->text, entry->path);
  std::array<std::size_t, kColumns.size()> at{};
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    const auto column = table.column(kColumns[i]);
    if (!column) throw ConfigError(fmt::format("{}:1: no column '{}'", table.name, kColumns[i]));
    at[i] = *column;
  }
  std::vector<Residual> residuals;
  for (const CsvRow& row : table.rows) {
    const std::string where = fmt::format("{}:{}", table.name, row.line);
    residuals.push_back({row.cells[at[0]], row.cells[at[1]], row.cells[at[2]], row.cells[at[3]] == "yes",
                         number(row.cells[at[4]], where), number(row.cells[at[5]], where)});
    if (residuals.back().error <= -1)
      throw ConfigError(where + ": an error of -100 % or less is none of a time");
  }
  return residuals;
}

std::string residuals_csv(std::span<const Residual> residuals) {
  std::string text = fmt::format("{}\n", fmt::join(kColumns, ","));
  for (const Residual& r : residuals)
    text += fmt::format("{},{},{},{},{:.0f},{:.4f}\n", r.gpu, r.precision, r.software,
                        r.experts ? "yes" : "no", r.gpus, r.error);
  return text;
}

PredictionInterval prediction_interval(const Scenario& s, std::span<const Residual> residuals) {
  for (const Likeness& likeness : kLikeness) {
    std::vector<double> errors;
    for (const Residual& r : residuals)
      if (alike(likeness, r, s)) errors.push_back(r.error);
    if (errors.size() < kLeastRows) continue;
    std::sort(errors.begin(), errors.end());
    const double tail = (1 - kIntervalLevel) / 2;
    PredictionInterval interval;
    // The prediction itself stays inside: a biased group moves one end only.
    interval.low = std::min(1.0, 1 / (1 + quantile(errors, 1 - tail)));
    interval.high = std::max(1.0, 1 / (1 + quantile(errors, tail)));
    interval.rows = errors.size();
    interval.like = likeness.words;
    interval.warning = distance(s, residuals, likeness);
    return interval;
  }
  return {};
}

}  // namespace runcast
