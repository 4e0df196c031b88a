// `runcast explain [TERM]`: the formula and meaning of a term, of a scenario's key or of a result's, and its value.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "scenarios/schema.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/commands/command.hpp"
#include "tools/explanations.hpp"
#include "tools/report/assertion.hpp"
#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"
#include "tools/result_keys.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

// Without list indices, as the tables of keys have them: "run.phases[0].tokens" is "run.phases.tokens".
std::string without_indices(const std::string& path) {
  std::string out;
  bool inside = false;
  for (const char c : path) {
    if (c == '[') inside = true;
    if (!inside) out += c;
    if (c == ']') inside = false;
  }
  return out;
}

// Null for a key of the scenario or of a result.
const Explanation* explanation_named(const std::string& term) {
  const auto dot = term.rfind('.');
  const std::string last = dot == std::string::npos ? term : term.substr(dot + 1);
  std::vector<std::string> terms;
  for (const Explanation& known : explanations()) {
    if (known.term == term || (!known.path.empty() && known.path == term)) return &known;
    terms.emplace_back(known.term);
  }
  if (find_schema_row(term) != nullptr || meaning_of_key(without_indices(term))) return nullptr;
  for (const Explanation& known : explanations())
    if (known.term == last) return &known;
  if (const std::string key = nearest_name(term, schema_paths()); dot != std::string::npos && !key.empty())
    throw ConfigError(fmt::format("explain: unknown key '{}', did you mean '{}'?", term, key));
  const std::string near = nearest_name(last, terms);
  throw ConfigError(near.empty()
                        ? fmt::format("explain: unknown term '{}'; `runcast explain` lists the terms", term)
                        : fmt::format("explain: unknown term '{}', did you mean '{}'?", term, near));
}

Json result_in(const std::string& path) {
  std::error_code none;
  if (std::filesystem::is_directory(path, none))
    throw ConfigError(fmt::format("--result: {} is a directory", path));
  std::ifstream in(path);
  if (!in) throw ConfigError(fmt::format("--result: cannot read {}", path));
  Json result = Json::parse(in, nullptr, false);
  if (!result.is_object()) throw ConfigError(fmt::format("--result: {} is no result of --format json", path));
  return result;
}

std::string indented(std::string_view text) {
  std::string out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) out += "  " + std::string(text.substr(begin, end - begin));
    out += "\n";
    begin = end + 1;
  }
  return out;
}

// Parts of a whole, the largest first.
std::string parts_text(const Json& parts, const std::string& file, const Style& style) {
  std::vector<std::pair<std::string, double>> rows;
  double sum = 0;
  for (const auto& [name, value] : parts.items()) {
    if (!value.is_number() || value.get<double>() == 0) continue;
    rows.emplace_back(words_of(name), value.get<double>());
    sum += rows.back().second;
  }
  std::ranges::stable_sort(rows, [](const auto& a, const auto& b) { return a.second > b.second; });
  Columns table;
  table.column("in " + file, Columns::Align::left);
  for (const char* name : {"value", "share"}) table.column(name, Columns::Align::right);
  table.column("", Columns::Align::left);
  for (const auto& [name, value] : rows)
    table.row({name, number(value), percent(value / sum), bar(value / sum, 30, style)});
  return table.text(2);
}

Answer key_of_scenario(const std::string& path, const Style& style) {
  const SchemaRow& row = *find_schema_row(path);
  return Answer({{"key", row.path},
                 {"value", form_name(row.form)},
                 {"legal", legal_words(row)},
                 {"left_out", row.fallback},
                 {"meaning", row.sentence}},
                heading(std::string(row.path), style) + "\n" + indented(schema_row_text(row)));
}

Answer key_of_result(const std::string& path, const Invocation& invocation) {
  const std::string meaning = *meaning_of_key(without_indices(path)), unit = unit_of(path);
  Json document = {{"key", path}, {"meaning", meaning}, {"unit", unit}};
  std::string out = heading(path, invocation.style) + "\n" + indented(meaning);
  if (const std::string file = invocation.arguments.last("result"); !file.empty()) {
    const Json result = result_in(file);
    const Json& value = value_at(result, path, fmt::format("--result {}", file));
    document["value"] = value;
    out += fmt::format("  in {}: {}\n", file, json_text(value));
  }
  return Answer(std::move(document), out);
}

Answer all_terms(const Style& style) {
  Json rows = Json::array();
  std::string out;
  std::string_view group;
  for (const Explanation& known : explanations()) {
    if (known.group != group)
      out += fmt::format("{}{}\n", out.empty() ? "" : "\n", heading(known.group, style));
    group = known.group;
    const std::string_view first = known.meaning.substr(0, known.meaning.find_first_of(".:\n"));
    out += fmt::format("  {:<26}{}\n", known.term, known.formula.empty() ? first : known.formula);
    rows.push_back({{"term", known.term},
                    {"group", known.group},
                    {"formula", known.formula},
                    {"meaning", known.meaning}});
  }
  return Answer({{"rows", rows}}, out);
}

}  // namespace

Answer explain_command(const Invocation& invocation) {
  const auto& words = invocation.arguments.positionals;
  if (words.empty()) return all_terms(invocation.style);
  const Explanation* term = explanation_named(words.front());
  if (term == nullptr && find_schema_row(words.front()) == nullptr)
    return key_of_result(words.front(), invocation);
  if (term == nullptr) return key_of_scenario(words.front(), invocation.style);
  const Explanation& known = *term;
  Json document = {
      {"term", known.term}, {"formula", known.formula}, {"meaning", known.meaning}, {"path", known.path}};
  std::string out = heading(known.term, invocation.style) + "\n";
  if (!known.formula.empty()) out += indented(known.formula);
  out += indented(known.meaning);
  if (!known.path.empty()) out += fmt::format("  in results: {}\n", known.path);
  if (const std::string file = invocation.arguments.last("result"); !file.empty()) {
    if (known.path.empty())
      throw ConfigError(fmt::format("--result: '{}' is no single value of a result", known.term));
    const Json result = result_in(file);
    const std::string path(known.path);
    if (const Json& parts = part_of(result, path); parts.is_object()) {
      document["value"] = parts;
      return Answer(std::move(document), out + parts_text(parts, file, invocation.style));
    }
    const Json& value = value_at(result, path, fmt::format("--result {}", file));
    document["value"] = value;
    document["unit"] = unit_of(known.path);
    const std::string unit = unit_of(known.path);
    out += fmt::format("  in {}: {}{}\n", file, value.dump(), unit.empty() || unit == "1" ? "" : " " + unit);
  }
  return Answer(std::move(document), out);
}

}  // namespace runcast
