// The table's rows as a tree of keys, and what is printed from it.
#include "scenarios/schema.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "failures/recovery.hpp"
#include "parallelism/pipeline_schedule.hpp"
#include "sim/error.hpp"
#include "sim/quantity.hpp"
#include "topology/builders.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPhase = "training.phases[].";  // whose layout and schedule have the run's keys

constexpr auto kKinds = std::to_array<SchemaKind>({
    {"scenario", "", "one experiment: model, cluster, layout, training, failures, prices"},
    {"study", "study", "a scenario at many points, for `runcast sweep`"},
    {"model", "model", "an entry of models/"},
    {"node", "cluster.node", "an entry of hardware/nodes/"},
    {"gpu", "cluster.node.gpu", "an entry of hardware/gpus/"},
    {"fabric", "cluster.fabric", "an entry of fabrics/"},
    {"software", "software", "an entry of software/"},
    {"failures", "failures", "an entry of failures/"},
    {"storage", "storage", "an entry of storage/"},
});

// How each form is called and written.
struct FormRow {
  KeyForm form;
  std::string_view name, example;
  const detail::UnitTable* units;
};
const std::array kForms = {
    FormRow{KeyForm::text, "text", "a name", nullptr},
    FormRow{KeyForm::prose, "anything", "", nullptr},
    FormRow{KeyForm::entry, "name, path or map", "", nullptr},
    FormRow{KeyForm::map, "map", "", nullptr},
    FormRow{KeyForm::choice, "one of", "", nullptr},
    FormRow{KeyForm::flag, "true or false", "true", nullptr},
    FormRow{KeyForm::number, "number", "0.5", nullptr},
    FormRow{KeyForm::count, "count", "15.6T", nullptr},
    FormRow{KeyForm::bytes, "bytes", "80 GB", &detail::kBytesUnits},
    FormRow{KeyForm::bandwidth, "bandwidth", "400 Gbps", &detail::kBandwidthUnits},
    FormRow{KeyForm::seconds, "time", "5 min", &detail::kSecondsUnits},
    FormRow{KeyForm::flop_rate, "rate", "989 TFLOP/s", &detail::kFlopRateUnits},
    FormRow{KeyForm::watts, "power", "700 W", &detail::kWattsUnits},
    FormRow{KeyForm::dollars, "money", "3.50 USD", &detail::kDollarsUnits},
    FormRow{KeyForm::event_rate, "events", "0.01 /node-day", nullptr},
    FormRow{KeyForm::carbon, "carbon", "380 g/kWh", nullptr},
    FormRow{KeyForm::mass, "mass", "150 kg", nullptr},
};

const FormRow& form_row(KeyForm form) {
  const FormRow& row = kForms[static_cast<std::size_t>(form)];
  INVARIANT(row.form == form);
  return row;
}

constexpr std::string_view kNumber = "[+-]?[0-9][0-9_]*(\\.[0-9][0-9_]*)?([eE][+-]?[0-9]+)?";

std::vector<std::string> split(std::string_view words) {
  std::vector<std::string> out;
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    out.emplace_back(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return out;
}

// Tables of which a row is all that an extension adds: their names are the legal words.
std::vector<std::string> names_of_table(std::string_view table) {
  std::vector<std::string> names;
  if (table == "schedules")
    for (const ScheduleRow& row : pipeline_schedules()) names.emplace_back(row.name);
  if (table == "policies")
    for (const RecoveryPolicy& row : recovery_policies()) names.emplace_back(row.name);
  if (table == "fabrics")
    for (const std::string_view kind : fabric_kinds()) names.emplace_back(kind);
  if (table == "scale_up")
    for (const std::string_view kind : scale_up_kinds()) names.emplace_back(kind);
  INVARIANT(!names.empty());
  return names;
}

bool literal(std::string_view fallback) {
  return !fallback.empty() && fallback != "required" && fallback.front() != '(';
}

// ---- the tree -------------------------------------------------------------------------------------------

struct KeyNode {
  std::string name;
  const SchemaRow* row = nullptr;
  std::vector<KeyNode> keys;   // of a map
  std::vector<KeyNode> items;  // of a list: none or one
};

KeyNode& child(std::vector<KeyNode>& nodes, std::string_view name) {
  const auto found = std::ranges::find(nodes, name, &KeyNode::name);
  if (found != nodes.end()) return *found;
  nodes.push_back({std::string(name), nullptr, {}, {}});
  return nodes.back();
}

void place(KeyNode& root, const SchemaRow& row, std::string_view path) {
  KeyNode* node = &root;
  while (!path.empty()) {
    if (path.starts_with("[]")) {
      node = &child(node->items, "[]");
      path.remove_prefix(2);
    } else {
      const std::size_t end = std::min(path.find_first_of(".["), path.size());
      node = &child(node->keys, path.substr(0, end));
      path.remove_prefix(end);
    }
    if (path.starts_with(".")) path.remove_prefix(1);
  }
  node->row = &row;
}

std::span<const SchemaRow> rows_of(const SchemaKind& kind) {
  return kind.name == "study" ? study_rows() : scenario_rows();
}

// Rows of the kind, with what its paths are inside it.
std::vector<std::pair<const SchemaRow*, std::string_view>> rows_inside(const SchemaKind& kind) {
  std::vector<std::pair<const SchemaRow*, std::string_view>> inside;
  const std::string_view root = kind.name == "study" ? "" : kind.root;
  for (const SchemaRow& row : rows_of(kind)) {
    if (root.empty())
      inside.emplace_back(&row, row.path);
    else if (row.path.starts_with(root) && row.path.substr(root.size()).starts_with('.'))
      inside.emplace_back(&row, row.path.substr(root.size() + 1));
  }
  return inside;
}

// ---- JSON Schema ----------------------------------------------------------------------------------------

Json pattern(std::string_view inner) {
  return {{"type", "string"}, {"pattern", fmt::format("^\\s*{}$", inner)}};
}

// A number and one of the units, which stand with or without a blank.
Json quantity(const std::vector<std::string>& units) {
  return pattern(fmt::format("{}\\s*({})\\s*", kNumber, fmt::join(units, "|")));
}

Json scalar_schema(const SchemaRow& row) {
  switch (row.form) {
    case KeyForm::text:
      return {{"type", Json::array({"string", "number", "boolean"})}};
    case KeyForm::prose:
      return Json::object();
    case KeyForm::choice:
      return {{"enum", legal_words(row)}};
    case KeyForm::flag:
      return {{"type", "boolean"}};
    case KeyForm::number:
      return {{"type", Json::array({"number", "string"})}, {"pattern", fmt::format("^\\s*{}\\s*$", kNumber)}};
    case KeyForm::count:
      return {
          {"type", Json::array({"integer", "string"})},
          {"minimum", 0},
          {"pattern", fmt::format("^\\s*{}\\s*(([kKMBGTP]|[KMGT]i)(\\s.*)?|\\s[A-Za-z _-]*)?$", kNumber)}};
    case KeyForm::event_rate:
      return pattern(
          fmt::format("{}\\s*/\\s*([A-Za-z_-]+-)?(second|minute|hour|day|week|month|year)\\s*", kNumber));
    case KeyForm::carbon:
      return quantity({"kg/kWh", "g/kWh"});
    case KeyForm::mass:
      return quantity({"kg", "t"});
    case KeyForm::entry:
    case KeyForm::map:
      break;
    default: {
      std::vector<std::string> units;
      for (const Unit& unit : form_row(row.form).units->units) units.emplace_back(unit.name);
      return quantity(units);
    }
  }
  return nullptr;
}

Json default_of(const SchemaRow& row) {
  const std::string text(row.fallback);
  if (row.form == KeyForm::flag || row.form == KeyForm::number || row.form == KeyForm::count)
    if (Json value = Json::parse(text, nullptr, false); !value.is_discarded()) return value;
  return text;
}

Json schema_of(const KeyNode& node, const Library& library);

Json object_schema(const KeyNode& node, const Library& library) {
  Json properties = Json::object(), required = Json::array();
  for (const KeyNode& key : node.keys) {
    properties[key.name] = schema_of(key, library);
    if (key.row != nullptr && key.row->fallback == "required") required.push_back(key.name);
  }
  Json out = {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

Json schema_of(const KeyNode& node, const Library& library) {
  INVARIANT(node.row != nullptr || !node.items.empty());
  Json any = Json::array();
  if (node.row != nullptr) {
    const SchemaRow& row = *node.row;
    if (row.path == "training.phases[].layout" || row.path == "training.phases[].schedule")
      return {{"description", row.sentence}, {"$ref", fmt::format("#/properties/{}", node.name)}};
    if (row.form == KeyForm::entry) {
      any.push_back({{"enum", library.names(row.words)}});
      any.push_back({{"type", "string"}});
    } else if (Json scalar = scalar_schema(row); !scalar.is_null()) {
      if (row.form != KeyForm::choice && !row.words.empty()) any.push_back({{"enum", legal_words(row)}});
      any.push_back(std::move(scalar));
      if (row.path == "economics.region") any.push_back({{"type", "string"}});  // of the hourly file
    }
  }
  if (!node.keys.empty()) any.push_back(object_schema(node, library));
  if (!node.items.empty())
    any.push_back({{"type", "array"}, {"items", schema_of(node.items.front(), library)}});
  Json out = Json::object();
  if (node.row != nullptr) {
    out["description"] = node.row->sentence;
    if (literal(node.row->fallback)) out["default"] = default_of(*node.row);
  }
  if (any.size() == 1)
    out.update(any.front());
  else
    out["anyOf"] = std::move(any);
  return out;
}

// ---- the reference --------------------------------------------------------------------------------------

std::string value_text(const SchemaRow& row) {
  const std::vector<std::string> words = legal_words(row);
  if (row.form == KeyForm::choice) return fmt::format("`{}`", fmt::join(words, "` `"));
  if (row.form == KeyForm::entry)
    return fmt::format("{} (`runcast list {}`)", form_name(row.form), row.words);
  std::string out(form_name(row.form));
  if (form_row(row.form).units != nullptr || row.form >= KeyForm::event_rate)
    out += fmt::format(", `{}`", form_example(row.form));
  if (!words.empty()) out += fmt::format(", or `{}`", fmt::join(words, "` `"));
  return out;
}

std::string fallback_text(const SchemaRow& row) {
  if (row.fallback == "required") return "**required**";
  if (literal(row.fallback)) return fmt::format("`{}`", row.fallback);
  if (row.fallback.empty()) return "";
  return std::string(row.fallback.substr(1, row.fallback.size() - 2));
}

}  // namespace

std::span<const SchemaRow> scenario_rows() {
  static const std::vector<SchemaRow> rows = [] {
    std::vector<SchemaRow> all;
    for (const auto part : {detail::experiment_rows(), detail::run_rows(), detail::model_rows(),
                            detail::hardware_rows(), detail::software_rows(), detail::failure_rows()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return rows;
}

std::vector<std::string> legal_words(const SchemaRow& row) {
  return row.words.starts_with('=') ? names_of_table(row.words.substr(1)) : split(row.words);
}

std::span<const SchemaKind> schema_kinds() { return kKinds; }
std::string_view form_name(KeyForm form) { return form_row(form).name; }
std::string_view form_example(KeyForm form) { return form_row(form).example; }

std::string schema_path(std::string_view path) {
  std::string out;
  bool inside = false;  // of an index
  for (const char c : path) {
    if (c == ']') inside = false;
    if (!inside) out += c;
    if (c == '[') inside = true;
  }
  for (const std::string_view own : {"layout", "schedule"})
    if (const std::string in_phase = fmt::format("{}{}.", kPhase, own); out.starts_with(in_phase))
      out.erase(0, kPhase.size());
  return out;
}

const SchemaRow* find_schema_row(std::string_view path) {
  const std::string wanted = schema_path(path);
  for (const SchemaRow& row : scenario_rows())
    if (row.path == wanted) return &row;
  for (const SchemaRow& row : scenario_rows())  // a list is told by its items
    if (row.path.ends_with("[]") && row.path.substr(0, row.path.size() - 2) == wanted) return &row;
  return nullptr;
}

std::vector<std::string> schema_paths() {
  std::vector<std::string> paths;
  for (const SchemaRow& row : scenario_rows()) paths.emplace_back(row.path);
  return paths;
}

std::string schema_row_text(const SchemaRow& row) {
  std::string out = fmt::format("{}\n", row.sentence);
  const std::vector<std::string> words = legal_words(row);
  if (row.form == KeyForm::choice)
    out += fmt::format("legal: {}\n", fmt::join(words, " | "));
  else if (row.form == KeyForm::entry)
    out += fmt::format("value: {}; runcast list {}\n", form_name(row.form), row.words);
  else if (row.form != KeyForm::map)
    out +=
        fmt::format("value: {}{}{}\n", form_name(row.form),
                    form_example(row.form).empty() ? "" : fmt::format(", as in {}", form_example(row.form)),
                    words.empty() ? "" : fmt::format(", or {}", fmt::join(words, " | ")));
  if (row.fallback == "required")
    out += "required\n";
  else if (!row.fallback.empty())
    out +=
        fmt::format("left out: {}\n",
                    literal(row.fallback) ? row.fallback : row.fallback.substr(1, row.fallback.size() - 2));
  for (const SchemaRow& other : scenario_rows()) {
    const bool below = other.path.starts_with(row.path) && other.path.size() > row.path.size() &&
                       (other.path[row.path.size()] == '.' || other.path[row.path.size()] == '[');
    if (below && other.path.find('.', row.path.size() + 1) == std::string_view::npos)
      out += fmt::format("  {:<40} {}\n", other.path, other.sentence);
  }
  return out;
}

Json json_schema(const SchemaKind& kind, const Library& library) {
  KeyNode root;
  for (const auto& [row, path] : rows_inside(kind)) place(root, *row, path);
  Json schema = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                 {"title", fmt::format("runcast {}", kind.name)},
                 {"description", kind.sentence}};
  schema.update(object_schema(root, library));
  return schema;
}

std::string schema_reference() {
  std::string out =
      "# Every key of a scenario\n\n"
      "Written by `runcast schema --format md`, from the table that `runcast schema` and `runcast explain "
      "KEY` are\n"
      "made from. A quantity carries its unit; a count takes k, M, B, T. `[]` is an item of a list.\n"
      "The keys of a model, node, GPU, fabric, software profile, failure model and storage are those of the\n"
      "library's files; a scenario names such a file or holds its keys inline.\n";
  std::string section;
  const auto table = [&](std::string_view title) {
    out += fmt::format("\n## {}\n\n| key | value | when left out | what it is |\n|---|---|---|---|\n", title);
  };
  const auto line = [&](const SchemaRow& row) {
    out +=
        fmt::format("| `{}` | {} | {} | {} |\n", row.path, value_text(row), fallback_text(row), row.sentence);
  };
  for (const SchemaRow& row : scenario_rows()) {
    std::string_view title = row.path.substr(0, row.path.find_first_of(".["));
    for (const SchemaKind& kind : kKinds)
      if (kind.root.find('.') != std::string_view::npos && row.path.starts_with(kind.root) &&
          row.path.substr(kind.root.size()).starts_with('.'))
        title = kind.root;
    if (title != section) table(title);
    section = title;
    line(row);
  }
  table("A study (`runcast sweep`)");
  for (const SchemaRow& row : study_rows()) line(row);
  return out;
}

}  // namespace runcast
