#include "scenarios/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/error.hpp"
#include "sim/source_text.hpp"

namespace runcast {

namespace {

constexpr std::size_t kMaxErrors = 20;       // more of them say nothing new
constexpr std::size_t kMaxRows = 1'000'000;  // assumption: a table of measurements is far smaller
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

class Reader {
 public:
  Reader(std::string_view text, CsvTable& table) : text_(text), table_(table) {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  void read() {
    while (at_ < text_.size() && errors_.size() < kMaxErrors) {
      CsvRow row = read_row();
      if (row.cells.size() == 1 && row.cells.front().empty()) continue;  // a blank line
      keep(std::move(row));
    }
    if (table_.header.empty() && errors_.empty())
      fail(1, "the table is empty; its first line names the columns");
    if (!errors_.empty()) throw ConfigError(fmt::format("{}", fmt::join(errors_, "\n")));
  }

 private:
  CsvRow read_row() {
    CsvRow row{line_, {}};
    while (true) {
      row.cells.push_back(peek('"') ? quoted_cell() : bare_cell());
      if (peek(',')) {
        ++at_;
        continue;
      }
      end_line();
      return row;
    }
  }

  bool peek(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool at_line_end() const {
    return at_ >= text_.size() || text_[at_] == '\n' ||
           (text_[at_] == '\r' && (at_ + 1 == text_.size() || text_[at_ + 1] == '\n'));
  }

  void end_line() {
    if (peek('\r')) ++at_;
    if (peek('\n')) ++at_;
    ++line_;
  }

  std::string bare_cell() {
    const std::size_t from = at_;
    while (!at_line_end() && text_[at_] != ',') {
      if (text_[at_] == '"') {
        fail(line_,
             "a quote inside a cell that does not begin with one; write the cell in quotes, and \"\" for a "
             "quote");
        skip_line();
        return {};
      }
      ++at_;
    }
    return trimmed(text_.substr(from, at_ - from));
  }

  std::string quoted_cell() {
    const int opened = line_;
    std::string cell;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] != '"') {
        cell += text_[at_];
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        cell += text_[++at_];
      } else {
        ++at_;
        if (!at_line_end() && text_[at_] != ',') {
          fail(line_, "text after the closing quote of a cell");
          skip_line();
        }
        return cell;
      }
    }
    fail(opened, "a quoted cell is never closed");
    return cell;
  }

  void skip_line() {
    while (!at_line_end()) ++at_;
  }

  static std::string trimmed(std::string_view cell) {
    const auto first = cell.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return std::string(cell.substr(first, cell.find_last_not_of(" \t") - first + 1));
  }

  void keep(CsvRow row) {
    for (const std::string& cell : row.cells)
      if (cell.find('\0') != std::string::npos) return fail(row.line, "a zero byte; this is no text");
    if (table_.header.empty()) return keep_header(std::move(row));
    if (row.cells.size() != table_.header.size())
      return fail(row.line, fmt::format("{} cells where the header names {} columns", row.cells.size(),
                                        table_.header.size()));
    if (table_.rows.size() == kMaxRows) return fail(row.line, fmt::format("more than {} rows", kMaxRows));
    table_.rows.push_back(std::move(row));
  }

  void keep_header(CsvRow row) {
    table_.header_line = row.line;
    table_.header = std::move(row.cells);
    std::vector<std::string> sorted = table_.header;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) fail(row.line, fmt::format("column '{}' stands twice", *twice));
  }

  void fail(int line, const std::string& sentence) {
    if (errors_.size() < kMaxErrors) errors_.push_back(fmt::format("{}:{}: {}", table_.name, line, sentence));
  }

  std::string_view text_;
  CsvTable& table_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<std::string> errors_;
};

}  // namespace

std::optional<std::size_t> CsvTable::column(std::string_view title) const {
  const auto found = std::find(header.begin(), header.end(), title);
  if (found == header.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header.begin());
}

CsvTable parse_csv(std::string_view text, std::string name) {
  CsvTable table;
  table.name = std::move(name);
  Reader(text, table).read();
  return table;
}

std::string read_text(const std::string& path, std::string_view where) {
  constexpr std::size_t most = detail::kLargestTable;
  std::error_code none;
  if (std::filesystem::is_directory(path, none))
    throw ConfigError(fmt::format("{}: {} is a directory", where, path));
  std::string text;
  try {
    text = detail::file_text(path, most);
  } catch (const ConfigError&) {
    throw ConfigError(fmt::format("{}: cannot read {}", where, path));
  }
  if (text.size() > most)
    throw ConfigError(fmt::format("{}: {} is larger than {} MiB", where, path, most >> 20));
  return text;
}

}  // namespace runcast
