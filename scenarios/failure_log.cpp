// See the header.
#include "scenarios/failure_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
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

std::int64_t days_of_month(std::int64_t y, std::int64_t m) {
  constexpr std::array<int, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
  return kDays[static_cast<std::size_t>(m - 1)] + (m == 2 && leap ? 1 : 0);
}

// Takes the parts of a date from the front of a text.
class DateReader {
 public:
  explicit DateReader(std::string_view text) : text_(text) {}

  // Seconds since 1970 in UTC; none for anything that is no date of the calendar, and for what stands behind one.
  std::optional<double> read() {
    std::int64_t y = 0, mo = 0, d = 0;
    if (const DateReader start = *this; number(4, 4, y) && sign('-')) {
      if (!number(1, 2, mo) || !sign('-') || !number(1, 2, d)) return std::nullopt;
    } else {
      *this = start;
      if (!number(1, 2, mo) || !sign('/') || !number(1, 2, d) || !sign('/') || !number(2, 4, y))
        return std::nullopt;
      if (y < 100) y += y < 70 ? 2000 : 1900;
    }
    if (mo < 1 || mo > 12 || d < 1 || d > days_of_month(y, mo)) return std::nullopt;
    double clock = 0, zone = 0;
    if (!text_.empty() && (sign('T') || sign(' ')) && !time_of_day(clock)) return std::nullopt;
    if (!text_.empty() && !offset(zone)) return std::nullopt;
    return static_cast<double>(days_from_civil(y, mo, d)) * kDay + clock - zone;
  }

 private:
  bool sign(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool number(std::size_t least, std::size_t most, std::int64_t& out) {
    std::size_t n = 0;
    for (out = 0; n < most && n < text_.size() && text_[n] >= '0' && text_[n] <= '9'; ++n)
      out = out * 10 + (text_[n] - '0');
    text_.remove_prefix(n);
    return n >= least;
  }
  bool time_of_day(double& out) {  // 12:34, 12:34:56, 12:34:56.7
    std::int64_t h = 0, mi = 0, s = 0;
    if (!number(1, 2, h) || !sign(':') || !number(2, 2, mi)) return false;
    double part = 0, place = 0.1;
    if (sign(':')) {
      if (!number(2, 2, s)) return false;
      if (sign('.') || (text_.size() > 1 && sign(',')))
        for (std::int64_t digit = 0; number(1, 1, digit); place /= 10)
          part += static_cast<double>(digit) * place;
    }
    out = static_cast<double>(h) * kHour + static_cast<double>(mi) * kMinute + static_cast<double>(s) + part;
    return mi <= 59 && s <= 60 && out <= kDay;
  }
  bool offset(double& out) {  // Z, UTC, +02:00, -0730
    sign(' ');
    if (text_ == "Z" || text_ == "UTC" || text_ == "GMT") return true;
    const bool west = text_.starts_with('-');
    std::int64_t h = 0, mi = 0;
    if (!(sign('+') || sign('-')) || !number(2, 2, h)) return false;
    sign(':');
    if (!text_.empty() && !number(2, 2, mi)) return false;
    out = (static_cast<double>(h) * kHour + static_cast<double>(mi) * kMinute) * (west ? -1 : 1);
    return text_.empty() && h <= 14 && mi <= 59;
  }

  std::string_view text_;
};

std::optional<double> plain_number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || end != text.c_str() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// A point of time in seconds, on a clock of its own for numbers.
double time_of(const CsvTable& table, const CsvRow& row, const std::string& text) {
  if (const auto number = plain_number(text)) return *number;
  if (const auto at = DateReader(text).read()) return *at;
  refuse(
      table, row,
      fmt::format("'{}' is no time of the calendar; write a date as 2024-05-01 12:34:56, or seconds", text));
}

std::optional<double> length_of(const CsvTable& table, const CsvRow& row, const std::string& text) {
  if (text.empty() || lower(text) == "nan" || lower(text) == "none") return std::nullopt;
  if (const auto number = plain_number(text)) return *number;
  return parse_seconds(text, fmt::format("{}:{}", table.name, row.line)).value;
}

// The unit that a column's name ends in, in seconds: repair_h, repair (min); none when it names none.
std::optional<double> unit_of(const std::string& title) {
  struct Named {
    std::string_view word;
    double seconds;
  };
  constexpr std::array<Named, 12> kUnits{{{"s", 1},
                                          {"sec", 1},
                                          {"seconds", 1},
                                          {"min", kMinute},
                                          {"mins", kMinute},
                                          {"minutes", kMinute},
                                          {"h", kHour},
                                          {"hours", kHour},
                                          {"hrs", kHour},
                                          {"d", kDay},
                                          {"day", kDay},
                                          {"days", kDay}}};
  std::string name = lower(title);
  while (!name.empty() && std::isalpha(static_cast<unsigned char>(name.back())) == 0) name.pop_back();
  std::size_t begin = name.size();
  while (begin > 0 && std::isalpha(static_cast<unsigned char>(name[begin - 1])) != 0) --begin;
  if (begin == 0) return std::nullopt;
  for (const Named& unit : kUnits)
    if (name.substr(begin) == unit.word) return unit.seconds;
  return std::nullopt;
}

// A repair: a length with its unit, in the cell or in the column's name.
std::optional<double> repair_of(const CsvTable& table, const CsvRow& row, std::size_t column) {
  const std::string& text = row.cells[column];
  const auto bare = plain_number(text);
  if (!bare) return length_of(table, row, text);
  if (const auto unit = unit_of(table.header[column])) return *bare * *unit;
  refuse(table, row,
         fmt::format("a repair of '{0}' has no unit; write '{0} h', or name the column repair_h", text));
}

// A table whose cells are separated by `separator` with commas instead.
std::string with_commas(std::string_view text, char separator) {
  std::string out, cell;
  bool quoted = false, had_quotes = false;
  const auto close = [&] {
    const bool plain = had_quotes || cell.find(',') == std::string::npos;
    out += plain ? cell : '"' + cell + '"';
    cell.clear();
    had_quotes = false;
  };
  for (const char c : text) {
    if (c == '"') {
      quoted = !quoted;
      had_quotes = true;
    }
    if (quoted || (c != separator && c != '\n' && c != '\r')) {
      cell += c;
      continue;
    }
    close();
    out += c == separator ? ',' : c;
  }
  close();
  return out;
}

CsvTable table_of(std::string_view text, const std::string& name) {
  const std::string_view header = text.substr(0, std::min(text.find('\n'), text.size()));
  for (const char separator : {',', ';', '\t'})
    if (header.find(separator) != std::string_view::npos)
      return separator == ',' ? parse_csv(text, name) : parse_csv(with_commas(text, separator), name);
  return parse_csv(text, name);
}

std::optional<std::size_t> column_of(const CsvTable& table, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    for (std::size_t i = 0; i < table.header.size(); ++i)
      if (lower(table.header[i]).starts_with(name)) return i;
  return std::nullopt;
}

// Failures on the record's own clock; exposure of nodes that were watched for all of it.
void settle(FailureLog& record, double first, double last, const LogOptions& options) {
  for (PastFailure& f : record.failures) f.at = Seconds(f.at.value - first);
  record.span = options.span.value_or(Seconds(last - first));
  if (options.nodes) {
    record.nodes = *options.nodes;
  } else {
    std::set<std::string> names;
    for (const PastFailure& f : record.failures) names.insert(f.node);
    record.nodes = std::max<std::int64_t>(1, static_cast<std::int64_t>(names.size()));
    record.notes.push_back(
        fmt::format("{} nodes are assumed, those that failed: rates are too high where others ran without a "
                    "failure; give --nodes",
                    record.nodes));
  }
  record.node_time = record.span * static_cast<double>(record.nodes);
  const std::size_t all = record.failures.size();
  const std::size_t dropped =
      std::erase_if(record.failures, [&](const PastFailure& f) { return f.at > record.span; });
  const std::string span = fmt::format("{:.6g} days", in_days(record.span));
  if (dropped > 0 && dropped == all)
    throw ConfigError(
        fmt::format("--span: all {} failures lie after the first {}; the last is at {:.6g} days", all, span,
                    (last - first) / kDay));
  if (dropped > 0)
    record.notes.push_back(
        fmt::format("{} of {} failures lie after the span of {} and are left out", dropped, all, span));
}

// Numbers so large that they count from 1970, in seconds or milliseconds: the unit in seconds. 0: they do not.
double epoch_unit(const CsvTable& table, std::size_t time) {
  constexpr double kSince1973 = 1e8, kMilliseconds = 1e11,
                   kEnd = 1e14;  // s, ms since 1973, s past all records
  double least = kEnd;
  for (const CsvRow& row : table.rows)
    if (const auto number = plain_number(row.cells[time])) least = std::min(least, *number);
  if (least < kSince1973 || least >= kEnd) return 0;
  return least >= kMilliseconds ? 1e-3 : 1;
}

FailureLog read_plain(const CsvTable& table, std::size_t time, const LogOptions& options) {
  const auto node = column_of(table, {"node", "host", "server"});
  const auto cause = column_of(table, {"cause", "category", "reason", "error"});
  const auto repair = column_of(table, {"repair", "down"});
  FailureLog record;
  double first = 1e300, last = -1e300;
  const bool dated = !plain_number(table.rows.front().cells[time]);
  const double unit = epoch_unit(table, time);
  for (const CsvRow& row : table.rows) {
    if (plain_number(row.cells[time]).has_value() == dated)
      refuse(table, row, fmt::format("'{}': dates and seconds do not go together", row.cells[time]));
    const double at = time_of(table, row, row.cells[time]) * (unit > 0 ? unit : 1);
    PastFailure failure{Seconds(at), node ? row.cells[*node] : "",
                        cause ? lower(row.cells[*cause]) : "failure", std::nullopt, false};
    if (failure.cause.empty()) failure.cause = "unknown";
    if (repair) {
      const std::string& text = row.cells[*repair];
      failure.repair_open = lower(text) == "open";
      if (!failure.repair_open)
        if (const auto length = repair_of(table, row, *repair)) failure.repair = Seconds(*length);
      if (failure.repair && failure.repair->value < 0) refuse(table, row, "a repair of less than 0 s");
    }
    first = std::min(first, at);
    last = std::max(last, at + (failure.repair ? failure.repair->value : 0));
    record.failures.push_back(std::move(failure));
  }
  // Numbers count from the beginning of the record; dates, and seconds of the epoch, begin with the first.
  if (unit > 0)
    record.notes.push_back(fmt::format("times are read as {} since 1970; the record begins with the first",
                                       unit < 1 ? "milliseconds" : "seconds"));
  settle(record, dated || unit > 0 ? first : std::min(0.0, first), last, options);
  for (PastFailure& f : record.failures)
    if (f.repair_open) f.repair = record.span - f.at;
  return record;
}

FailureLog read_lanl(const CsvTable& table, std::size_t start, const LogOptions& options) {
  constexpr std::array<std::string_view, 6> kCauses{"facilities", "hardware",     "human error",
                                                    "network",    "undetermined", "software"};
  const auto node = column_of(table, {"nodenum", "node"});
  const auto fixed = column_of(table, {"prob fixed"});
  FailureLog record;
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

FailureLog read_jobs(const CsvTable& table, std::size_t state, const LogOptions& options) {
  const auto start = column_of(table, {"start_time", "start"}), end = column_of(table, {"end_time", "end"});
  const auto duration = column_of(table, {"duration"});
  const auto nodes = column_of(table, {"node_num", "num_nodes", "nodes"});
  const auto gpus = column_of(table, {"gpu_num", "num_gpus", "gpus"});
  if (!start || (!end && !duration) || (!nodes && !gpus))
    throw ConfigError(
        fmt::format("{}:{}: a table of jobs needs start_time, end_time or duration, and node_num or gpu_num",
                    table.name, table.header_line));
  FailureLog record;
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
    if (!count || *count < 0 || *count > 1e9)
      refuse(table, row, fmt::format("'{}' is no number of nodes or GPUs", size));
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

FailureLog read_failure_log(std::string_view text, const std::string& name, const LogOptions& options) {
  const CsvTable table = table_of(text, name);
  if (table.rows.empty()) throw ConfigError(fmt::format("{}: a record of failures has no rows", name));
  FailureLog record;
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
