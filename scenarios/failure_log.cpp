// See the header.
#include "scenarios/failure_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <set>

#include "sim/config.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

std::string lower(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  while (!out.empty() && out.back() == ' ') out.pop_back();
  out.erase(0, out.find_first_not_of(' ') == std::string::npos ? 0 : out.find_first_not_of(' '));
  return out;
}

[[noreturn]] void refuse(const CsvTable& table, const CsvRow& row, const std::string& sentence) {
  throw ConfigError(fmt::format("{}:{}: {}", table.name, row.line, sentence));
}

// Days since 1970-01-01 of the proleptic Gregorian calendar (Hinnant, "chrono-compatible date algorithms").
std::int64_t days_from_civil(std::int64_t y, std::int64_t m, std::int64_t d) {
  y -= m <= 2 ? 1 : 0;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
  const std::int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

std::optional<double> date(const std::string& text) {
  int y = 0, mo = 0, d = 0, h = 0, mi = 0;
  double s = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2d%*1[ T]%2d:%2d:%lf", &y, &mo, &d, &h, &mi, &s) < 3) {
    h = mi = 0;
    s = 0;
    if (std::sscanf(text.c_str(), "%2d/%2d/%4d %2d:%2d", &mo, &d, &y, &h, &mi) < 3) return std::nullopt;
    if (y < 100) y += y < 70 ? 2000 : 1900;
  }
  if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 24 || mi > 59) return std::nullopt;
  return static_cast<double>(days_from_civil(y, mo, d)) * kDay + h * kHour + mi * kMinute + s;
}

std::optional<double> plain_number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || end != text.c_str() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// A point of time in seconds, on a clock of its own for numbers.
double time_of(const CsvTable& table, const CsvRow& row, const std::string& text) {
  if (const auto number = plain_number(text)) return *number;
  if (const auto at = date(text); at && std::isfinite(*at)) return *at;
  refuse(table, row, fmt::format("'{}' is no time; write seconds, or a date as 2024-05-01 12:34:56", text));
}

std::optional<double> length_of(const CsvTable& table, const CsvRow& row, const std::string& text) {
  if (text.empty() || lower(text) == "nan" || lower(text) == "none") return std::nullopt;
  if (const auto number = plain_number(text)) return *number;
  return parse_seconds(text, fmt::format("{}:{}", table.name, row.line)).value;
}

std::optional<std::size_t> column_of(const CsvTable& table, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    for (std::size_t i = 0; i < table.header.size(); ++i)
      if (lower(table.header[i]).starts_with(name)) return i;
  return std::nullopt;
}

// Failures on the record's own clock; exposure of nodes that were watched for all of it.
void settle(FailureRecord& record, double first, double last, const LogOptions& options) {
  for (PastFailure& f : record.failures) f.at = Seconds(f.at.value - first);
  record.span = options.span.value_or(Seconds(last - first));
  if (options.nodes) {
    record.nodes = *options.nodes;
  } else {
    std::set<std::string> names;
    for (const PastFailure& f : record.failures) names.insert(f.node);
    record.nodes = std::max<std::int64_t>(1, static_cast<std::int64_t>(names.size()));
  }
  record.node_time = record.span * static_cast<double>(record.nodes);
  std::erase_if(record.failures, [&](const PastFailure& f) { return f.at > record.span; });
}

FailureRecord read_plain(const CsvTable& table, std::size_t time, const LogOptions& options) {
  const auto node = column_of(table, {"node", "host", "server"});
  const auto cause = column_of(table, {"cause", "category", "reason", "error"});
  const auto repair = column_of(table, {"repair", "down"});
  FailureRecord record;
  double first = 1e300, last = -1e300;
  for (const CsvRow& row : table.rows) {
    const double at = time_of(table, row, row.cells[time]);
    PastFailure failure{Seconds(at), node ? row.cells[*node] : "",
                        cause ? lower(row.cells[*cause]) : "failure", std::nullopt, false};
    if (failure.cause.empty()) failure.cause = "unknown";
    if (repair) {
      const std::string& text = row.cells[*repair];
      failure.repair_open = lower(text) == "open";
      if (!failure.repair_open)
        if (const auto length = length_of(table, row, text)) failure.repair = Seconds(*length);
      if (failure.repair && failure.repair->value < 0) refuse(table, row, "a repair of less than 0 s");
    }
    first = std::min(first, at);
    last = std::max(last, at + (failure.repair ? failure.repair->value : 0));
    record.failures.push_back(std::move(failure));
  }
  // Numbers count from the beginning of the record; dates begin with the first.
  const bool dated = !plain_number(table.rows.front().cells[time]);
  settle(record, dated ? first : std::min(0.0, first), last, options);
  for (PastFailure& f : record.failures)
    if (f.repair_open) f.repair = record.span - f.at;
  return record;
}

FailureRecord read_lanl(const CsvTable& table, std::size_t start, const LogOptions& options) {
  constexpr std::array<std::string_view, 6> kCauses{"facilities", "hardware",     "human error",
                                                    "network",    "undetermined", "software"};
  const auto node = column_of(table, {"nodenum", "node"});
  const auto fixed = column_of(table, {"prob fixed"});
  FailureRecord record;
  double first = 1e300, last = -1e300;
  for (const CsvRow& row : table.rows) {
    const double at = time_of(table, row, row.cells[start]);
    PastFailure failure{Seconds(at), node ? row.cells[*node] : "", "undetermined", std::nullopt, false};
    for (const std::string_view cause : kCauses)
      if (const auto c = column_of(table, {cause}); c && !row.cells[*c].empty()) failure.cause = cause;
    if (fixed && !row.cells[*fixed].empty()) {
      const double end = time_of(table, row, row.cells[*fixed]);
      if (end < at) refuse(table, row, "the problem was fixed before it started");
      failure.repair = Seconds(end - at);
    }
    first = std::min(first, at);
    last = std::max(last, at + (failure.repair ? failure.repair->value : 0));
    record.failures.push_back(std::move(failure));
  }
  settle(record, first, last, options);
  return record;
}

FailureRecord read_jobs(const CsvTable& table, std::size_t state, const LogOptions& options) {
  const auto start = column_of(table, {"start_time", "start"}), end = column_of(table, {"end_time", "end"});
  const auto duration = column_of(table, {"duration"});
  const auto nodes = column_of(table, {"node_num", "num_nodes", "nodes"});
  const auto gpus = column_of(table, {"gpu_num", "num_gpus", "gpus"});
  if (!start || (!end && !duration) || (!nodes && !gpus))
    throw ConfigError(
        fmt::format("{}:{}: a table of jobs needs start_time, end_time or duration, and node_num or gpu_num",
                    table.name, table.header_line));
  FailureRecord record;
  double first = 1e300, last = -1e300, node_time = 0, largest = 1;
  for (const CsvRow& row : table.rows) {
    if (row.cells[*start].empty()) continue;  // never ran
    const double begin = time_of(table, row, row.cells[*start]);
    const std::optional<double> told = duration ? length_of(table, row, row.cells[*duration]) : std::nullopt;
    if (!told && (!end || row.cells[*end].empty())) continue;  // still ran when the record ended
    const double stop = told ? begin + *told : time_of(table, row, row.cells[*end]);
    if (stop < begin) refuse(table, row, "the job ended before it started");
    const std::string& size = row.cells[nodes ? *nodes : *gpus];
    const auto count = plain_number(size);
    if (!count || *count < 0 || *count > 1e9) refuse(table, row, fmt::format("'{}' is no number of nodes or GPUs", size));
    const double used =
        std::max(1.0, nodes ? *count : std::ceil(*count / static_cast<double>(options.gpus_per_node)));
    largest = std::max(largest, used);
    node_time += used * (stop - begin);
    first = std::min(first, begin);
    last = std::max(last, stop);
    const std::string word = lower(row.cells[state]);
    if (word.starts_with("fail") || word == "node_fail" || word == "error")
      record.failures.push_back(
          {Seconds(stop), "", word == "node_fail" ? "node" : "job", std::nullopt, false});
  }
  LogOptions settled = options;
  if (!settled.nodes) settled.nodes = static_cast<std::int64_t>(largest);
  settle(record, first, last, settled);
  record.node_time = Seconds(node_time);
  return record;
}

const char* known_columns =
    "time, node, cause, repair; LANL's Prob Started; or a job table's state and start_time";

std::string fit_words(const LawFit& fit) {
  const std::string_view name = kLawNames[static_cast<std::size_t>(fit.law)];
  return fit.law == Law::exponential
             ? fmt::format("{} (KS p {:.2f})", name, fit.ks_p)
             : fmt::format("{} shape {:.3g} (KS p {:.2f})", name, fit.shape, fit.ks_p);
}

}  // namespace

FailureRecord read_failure_log(std::string_view text, const std::string& name, const LogOptions& options) {
  const CsvTable table = parse_csv(text, name);
  if (table.rows.empty()) throw ConfigError(fmt::format("{}: a record of failures has no rows", name));
  FailureRecord record;
  if (const auto lanl = column_of(table, {"prob started"}))
    record = read_lanl(table, *lanl, options);
  else if (const auto state = column_of(table, {"state", "status"}))
    record = read_jobs(table, *state, options);
  else if (const auto time = column_of(table, {"time", "date", "start"}))
    record = read_plain(table, *time, options);
  else
    throw ConfigError(fmt::format("{}:{}: no column tells when something failed; known are {}", name,
                                  table.header_line, known_columns));
  if (!std::isfinite(record.node_time.value) || !std::isfinite(record.span.value))
    throw ConfigError(fmt::format("{}: the record covers a time without end", name));
  if (record.node_time.value <= 0)
    throw ConfigError(fmt::format("{}: the record covers no time; give --span", name));
  return record;
}

std::string failure_model_yaml(const std::string& name, const FailureRecord& record,
                               const std::vector<CauseFit>& fits) {
  std::string out = fmt::format(
      "# Rates of {}: {} failures in {:.6g} node-days; 95 % intervals are Garwood's\nname: {}\nclock: "
      "always\n"
      "classes:\n",
      name, record.failures.size(), in_days(record.node_time), name);
  for (const CauseFit& fit : fits) {
    const auto per_day = [](EventRate rate) { return rate.value * kDay; };
    const bool node = fit.cause != "software" && fit.cause != "job";
    out += fmt::format(
        "  - {{name: {}, domain: {}, rate: {:.4g} /node-day, observed: {}, action: {}",
        fit.cause.find_first_of(" ,:{}[]#'\"") == std::string::npos ? fit.cause : "\"" + fit.cause + "\"",
        node ? "node" : "job", per_day(fit.per_node.mean), fit.count, node ? "swap" : "retry");
    if (node && fit.mean_repair.value > 0)
      out += fmt::format(", repair: {:.4g} h", std::min(in_hours(fit.mean_repair), 365 * 24.0));
    if (!fit.gaps.empty() && fit.gaps.front().law != Law::exponential) {
      const bool lognormal = fit.gaps.front().law == Law::lognormal;
      out +=
          fmt::format(", law: {}, shape: {:.3g}", kLawNames[static_cast<std::size_t>(fit.gaps.front().law)],
                      std::clamp(fit.gaps.front().shape, lognormal ? 0.01 : 0.1, lognormal ? 3.0 : 10.0));
    }
    out += fmt::format("}}  # {:.3g} to {:.3g} /node-day", per_day(fit.per_node.low),
                       per_day(fit.per_node.high));
    if (!fit.gaps.empty()) out += "; gaps " + fit_words(fit.gaps.front());
    if (!fit.repairs.empty()) out += "; repairs " + fit_words(fit.repairs.front());
    if (fit.open_repairs > 0) out += fmt::format(", {} open", fit.open_repairs);
    out += "\n";
  }
  return out;
}

}  // namespace runcast
