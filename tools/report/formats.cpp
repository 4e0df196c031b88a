// Machine formats of a result: JSON, JSON lines, CSV, Markdown, and a plain aligned listing of any document.
#include "tools/report/formats.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/report/number.hpp"
#include "tools/report/style.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

struct FormatName {
  std::string_view name;
  std::string_view suffix;
  Format format;
};
constexpr std::array kFormats = {
    FormatName{"table", ".txt", Format::table}, FormatName{"json", ".json", Format::json},
    FormatName{"jsonl", ".jsonl", Format::jsonl}, FormatName{"csv", ".csv", Format::csv},
    FormatName{"md", ".md", Format::markdown}};

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const Json& row) { return row.is_object(); });
}

const Json* main_table(const Json& document) {
  for (const char* key : {"rows", "layouts"})
    if (const auto at = document.find(key); at != document.end() && at->is_array()) return &*at;
  return nullptr;
}

// A row as columns: maps inside it by path ("breakdown_s.compute"), lists of values joined by "; ".
void collect_cells(const Json& value, const std::string& path, std::vector<Leaf>& out) {
  if (value.is_object()) {
    for (const auto& [key, child] : value.items())
      collect_cells(child, path.empty() ? key : path + "." + key, out);
    return;
  }
  const bool plain_list = value.is_array() && std::none_of(value.begin(), value.end(), [](const Json& item) {
                            return item.is_structured();
                          });
  if (!plain_list) {
    out.push_back({path, plain_text(value)});
    return;
  }
  std::string text;
  for (const Json& item : value) text += (text.empty() ? "" : "; ") + plain_text(item);
  out.push_back({path, text});
}

// Every row's cells under the columns of all rows, in the order in which those first appear.
struct Grid {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

Grid grid_of(const Json& rows) {
  Grid grid;
  std::map<std::string, std::size_t> column;
  for (const Json& row : rows) {
    std::vector<Leaf> cells;
    collect_cells(row, "", cells);
    std::vector<std::string> line(grid.header.size());
    for (Leaf& cell : cells) {
      const auto [at, added] = column.try_emplace(cell.path, grid.header.size());
      if (added) grid.header.push_back(cell.path);
      line.resize(grid.header.size());
      line[at->second] = std::move(cell.value);
    }
    grid.rows.push_back(std::move(line));
  }
  for (auto& line : grid.rows) line.resize(grid.header.size());
  return grid;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char letter : text) quoted += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return quoted + "\"";
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) line += (i > 0 ? "," : "") + csv_field(fields[i]);
  return line + "\n";
}

std::string markdown_line(const std::vector<std::string>& fields) {
  std::string line = "|";
  for (const std::string& field : fields) {
    line += ' ';
    for (const char letter : field)
      line += letter == '|' ? "\\|" : std::string(1, letter == '\n' ? ' ' : letter);
    line += " |";
  }
  return line + "\n";
}

void collect_leaves(const Json& value, const std::string& path, std::vector<Leaf>& out) {
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, child] : value.items())
      collect_leaves(child, path.empty() ? key : path + "." + key, out);
  } else if (value.is_array() && !value.empty()) {
    for (std::size_t i = 0; i < value.size(); ++i)
      collect_leaves(value[i], fmt::format("{}[{}]", path, i), out);
  } else {
    out.push_back({path, plain_text(value)});
  }
}

// A document in parts that are each one table: lists of maps are tables of their own, the rest keys and
// values.
struct Part {
  std::string title;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

void collect_tables(const Json& value, const std::string& path, std::vector<Part>& tables,
                    std::vector<Leaf>& rest) {
  if (is_table(value)) {
    Grid grid = grid_of(value);
    tables.push_back({path, std::move(grid.header), std::move(grid.rows)});
  } else if (value.is_object() && !value.empty()) {
    for (const auto& [key, child] : value.items()) collect_tables(child, path + "." + key, tables, rest);
  } else {
    collect_leaves(value, path, rest);
  }
}

std::vector<Part> parts_of(const Json& document) {
  std::vector<Part> parts;
  Part top{"result", {"key", "value", "unit"}, {}};
  const auto add = [](Part& part, const std::vector<Leaf>& found) {
    for (const Leaf& leaf : found) part.rows.push_back({leaf.path, leaf.value, unit_of(leaf.path)});
  };
  for (const auto& [key, value] : document.items()) {
    std::vector<Part> tables;
    std::vector<Leaf> rest;
    collect_tables(value, key, tables, rest);
    if (!value.is_object()) {
      add(top, rest);
    } else if (!rest.empty()) {
      Part part{key, top.header, {}};
      add(part, rest);
      parts.push_back(std::move(part));
    }
    for (Part& table : tables) parts.push_back(std::move(table));
  }
  if (!top.rows.empty()) parts.insert(parts.begin(), std::move(top));
  return parts;
}

}  // namespace

Format format_named(std::string_view name) {
  std::vector<std::string> legal;
  for (const FormatName& known : kFormats) {
    if (known.name == name) return known.format;
    legal.emplace_back(known.name);
  }
  const std::string near = nearest_name(name, legal);
  throw ConfigError(fmt::format("--format {}: unknown format{}; legal: {}", name,
                                near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                fmt::join(legal, ", ")));
}

Format format_of_file(const std::string& path) {
  for (const FormatName& known : kFormats)
    if (path.ends_with(known.suffix)) return known.format;
  throw ConfigError(fmt::format(
      "-o {}: its suffix names no format; use .json, .jsonl, .csv, .md or .txt, or say --format", path));
}

std::string as_json(const Json& document) { return json_text(document, 2) + "\n"; }

std::string as_jsonl(const Json& document) {
  const Json* rows = main_table(document);
  if (rows == nullptr) return json_text(document) + "\n";
  std::string text;
  for (const Json& row : *rows) text += json_text(row) + "\n";
  return text;
}

// Figures that CodeCarbon's emissions.csv has too carry its column's name.
std::vector<std::string> csv_leaf(const Leaf& leaf) {
  constexpr std::string_view kPrefix = "cost.codecarbon.";
  if (!leaf.path.starts_with(kPrefix)) return {leaf.path, leaf.value, unit_of(leaf.path)};
  constexpr std::array<std::array<std::string_view, 2>, 6> kUnits = {{{"duration", "s"},
                                                                      {"emissions", "kg"},
                                                                      {"emissions_rate", "kg/s"},
                                                                      {"gpu_power", "W"},
                                                                      {"gpu_energy", "kWh"},
                                                                      {"energy_consumed", "kWh"}}};
  const std::string name = leaf.path.substr(kPrefix.size());
  for (const auto& [column, unit] : kUnits)
    if (column == name) return {name, leaf.value, std::string(unit)};
  return {name, leaf.value, ""};
}

std::string as_csv(const Json& document) {
  std::string text;
  if (const Json* rows = main_table(document)) {
    const Grid grid = grid_of(*rows);
    text = csv_line(grid.header);
    for (const auto& row : grid.rows) text += csv_line(row);
    return text;
  }
  text = csv_line({"key", "value", "unit"});
  for (const Leaf& leaf : leaves(document)) text += csv_line(csv_leaf(leaf));
  return text;
}

std::string as_markdown(const Json& document) {
  std::string text;
  for (const Part& part : parts_of(document)) {
    text += fmt::format("{}## {}\n\n", text.empty() ? "" : "\n", part.title);
    text += markdown_line(part.header);
    text += markdown_line(std::vector<std::string>(part.header.size(), "---"));
    for (const auto& row : part.rows) text += markdown_line(row);
  }
  return text;
}

std::string as_text(const Json& document) {
  std::string text;
  for (const Part& part : parts_of(document)) {
    Columns columns;
    for (const std::string& name : part.header) columns.column(name, Columns::Align::left);
    for (const auto& row : part.rows) columns.row(row);
    text += fmt::format("{}{}\n{}", text.empty() ? "" : "\n", part.title, columns.text(2));
  }
  return text;
}

void remove_timing(Json& document) {
  if (document.is_object()) document.erase("seconds");
  if (document.is_structured())
    for (auto& child : document) remove_timing(child);
}

std::vector<Leaf> leaves(const Json& document) {
  std::vector<Leaf> out;
  collect_leaves(document, "", out);
  return out;
}

}  // namespace runcast
