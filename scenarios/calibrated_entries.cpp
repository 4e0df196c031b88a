// Fitted values written into the text of library entries, line by line, so that comments and order stay.
// Understands the block style that the library is written in: keys by indentation, one `key: value  # origin`
// a line.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "scenarios/calibration_study.hpp"

namespace runcast {

namespace {

struct Line {
  std::size_t indent = 0;
  std::string path;   // "kernels.gemm_efficiency.bf16"; "" when the line sets no key
  std::string value;  // between the colon and the comment, trimmed
};

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

// The text as lines with their full keys.
class YamlLines {
 public:
  explicit YamlLines(const std::string& text) {
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) text_.push_back(line);
    parse();
  }

  std::optional<std::size_t> find(std::string_view path) const {
    for (std::size_t i = 0; i < lines_.size(); ++i)
      if (lines_[i].path == path) return i;
    return std::nullopt;
  }
  const std::string& value(std::size_t line) const { return lines_[line].value; }
  std::string comment(std::size_t line) const {
    const std::size_t hash = text_[line].find(" #");
    return hash == std::string::npos ? "" : trimmed(std::string_view(text_[line]).substr(hash + 2));
  }

  void replace(std::size_t i, const std::string& value, const std::string& comment) {
    const std::size_t hash = text_[i].find(" #");
    const std::size_t column = hash == std::string::npos ? 0 : hash + 1;
    std::string line = text_[i].substr(0, text_[i].find(':') + 1) + " " + value;
    line.resize(std::max(line.size() + 2, column), ' ');
    text_[i] = line + "# " + comment;
    parse();
  }

  // A new key below its section; false when the entry has no such section.
  bool add(std::string_view path, const std::string& value, const std::string& comment) {
    const auto dot = path.rfind('.');
    std::string line =
        fmt::format("{}: {}  # {}", path.substr(dot == std::string_view::npos ? 0 : dot + 1), value, comment);
    if (dot == std::string_view::npos) {
      text_.push_back(line);
    } else {
      const auto section = find(path.substr(0, dot));
      if (!section) return false;
      text_.insert(text_.begin() + static_cast<std::ptrdiff_t>(*section) + 1,
                   std::string(lines_[*section].indent + 2, ' ') + line);
    }
    parse();
    return true;
  }

  std::string text() const {
    std::string all;
    for (const std::string& line : text_) all += line + "\n";
    return all;
  }

 private:
  void parse() {
    lines_.clear();
    std::vector<std::pair<std::size_t, std::string>> above;  // indentation and key of the sections we are in
    for (const std::string& line : text_) {
      Line parsed;
      parsed.indent = std::min(line.find_first_not_of(' '), line.size());
      const std::size_t colon = line.find(':');
      const bool sets = colon != std::string::npos && parsed.indent < line.size() &&
                        line[parsed.indent] != '#' && line[parsed.indent] != '-' &&
                        (colon + 1 == line.size() || line[colon + 1] == ' ');
      if (sets) {
        while (!above.empty() && above.back().first >= parsed.indent) above.pop_back();
        above.emplace_back(parsed.indent, line.substr(parsed.indent, colon - parsed.indent));
        for (const auto& [indent, key] : above) parsed.path += (parsed.path.empty() ? "" : ".") + key;
        const std::string rest = line.substr(colon + 1);
        parsed.value = trimmed(rest.substr(0, rest.find(" #")));
      }
      lines_.push_back(parsed);
    }
  }

  std::vector<std::string> text_;
  std::vector<Line> lines_;
};

struct Written {
  double number = 0;
  std::string unit;
};

Written split_unit(const std::string& value) {
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  return {number, trimmed(end)};
}

double si_of(const Written& w, const FittedField& field) {
  if (field.unit.empty()) return w.number;
  return parse_seconds(fmt::format("{} {}", w.number, w.unit), field.key).value;
}

// The value `number` in SI after the fit: as Constant::scale, which keeps it within the bounds.
double moved(const Constant& c, double number, double factor) {
  return std::clamp(number * factor, std::min(c.low, number), std::max(c.high, number));
}

std::string in_unit(double number, const std::string& unit) {
  return unit.empty() ? fmt::format("{:.4g}", number) : fmt::format("{:.4g} {}", number, unit);
}

// What the line said before any fit.
std::string first_origin(const Written& old, const std::string& comment) {
  constexpr std::string_view kMark = "; before: ";
  const auto mark = comment.find(kMark);
  if (mark != std::string::npos) return comment.substr(mark);
  return fmt::format("{}{}{}{}", kMark, in_unit(old.number, old.unit), comment.empty() ? "" : ", ", comment);
}

std::string origin(const FittedConstant& f, double number, const std::string& unit, bool own,
                   const std::string& fitted_on) {
  const std::string interval = fmt::format("[{}, {}]", in_unit(number * f.interval.low / f.value, ""),
                                           in_unit(number * f.interval.high / f.value, unit));
  return fmt::format("fitted on {}, 95 % interval {}{}", fitted_on, interval,
                     own ? "" : ", by the steps of its family");
}

void write_field(YamlLines& lines, const FittedConstant& f, const FittedField& field, bool own,
                 const std::string& fitted_on) {
  const Constant& c = *f.constant;
  if (const auto line = lines.find(field.key)) {
    const Written old = split_unit(lines.value(*line));
    const double si = si_of(old, field);
    if (si <= 0) return;
    const double number = old.number * (moved(c, si, f.factor) / si);
    lines.replace(*line, in_unit(number, old.unit),
                  origin(f, number, old.unit, own, fitted_on) + first_origin(old, lines.comment(*line)));
    return;
  }
  Scenario plain;
  const double fallback = field.of(plain);
  if (fallback <= 0) return;  // a format that the part does not have
  const double number = moved(c, fallback, f.factor) / field.unit_value;
  const std::string unit(field.unit);
  lines.add(field.key, in_unit(number, unit), origin(f, number, unit, own, fitted_on));
}

// A constant that the measurements neither told nor moved keeps its own source.
bool says_nothing(const FittedConstant& f) { return f.told < 0.05 && std::abs(std::log(f.factor)) < 0.02; }

bool shares(const Constant& c, const LibraryEntry& entry) {
  if (entry.folder != c.folder || entry.suffix != "yaml") return false;
  return c.entries.empty() || std::find(c.entries.begin(), c.entries.end(), entry.name) != c.entries.end();
}

}  // namespace

std::vector<LibraryEntry> calibrated_entries(const Library& library,
                                             const std::vector<FittedConstant>& constants,
                                             const std::vector<std::string>& used,
                                             const std::string& fitted_on) {
  std::vector<LibraryEntry> changed;
  for (const LibraryEntry& entry : library.entries()) {
    YamlLines lines(entry.text);
    const bool own = std::find(used.begin(), used.end(), entry.folder + "/" + entry.name) != used.end();
    for (const FittedConstant& f : constants) {
      if (!shares(*f.constant, entry) || says_nothing(f)) continue;
      for (const FittedField& field : f.constant->fields) write_field(lines, f, field, own, fitted_on);
    }
    LibraryEntry copy = entry;
    copy.text = lines.text();
    if (copy.text != entry.text) changed.push_back(std::move(copy));
  }
  return changed;
}

}  // namespace runcast
