// The part of JSON Schema draft-07 that `runcast schema` uses, and YAML as an editor's language server reads it.
#pragma once

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "sim/yaml_tree.hpp"

namespace runcast {

// The first thing in `value` that the schema forbids; "" when there is none.
inline std::string violation(const nlohmann::ordered_json& schema, const nlohmann::ordered_json& root,
                             const nlohmann::ordered_json& value, const std::string& where) {
  if (const auto ref = schema.find("$ref"); ref != schema.end())
    return violation(root[nlohmann::ordered_json::json_pointer(ref->get<std::string>().substr(1))], root,
                     value, where);
  if (const auto any = schema.find("anyOf"); any != schema.end()) {
    std::string first;
    for (const nlohmann::ordered_json& option : *any) {
      const std::string problem = violation(option, root, value, where);
      if (problem.empty()) return "";
      first += (first.empty() ? "" : " | ") + problem;
    }
    return first;
  }
  if (const auto list = schema.find("enum"); list != schema.end())
    return std::ranges::find(*list, value) != list->end() ? "" : where + ": not in the enum";
  if (const auto type = schema.find("type"); type != schema.end()) {
    const auto is = [&](const std::string& name) {
      return name == "string"    ? value.is_string()
             : name == "number"  ? value.is_number()
             : name == "integer" ? value.is_number_integer()
             : name == "boolean" ? value.is_boolean()
             : name == "array"   ? value.is_array()
                                 : value.is_object();
    };
    const bool legal =
        type->is_array() ? std::ranges::any_of(*type, [&](const nlohmann::ordered_json& t) { return is(t); })
                         : is(type->get<std::string>());
    if (!legal) return where + ": is no " + type->dump();
  }
  if (const auto least = schema.find("minimum"); least != schema.end() && value.is_number())
    if (value.get<double>() < least->get<double>()) return where + ": is too small";
  if (const auto pattern = schema.find("pattern"); pattern != schema.end() && value.is_string())
    if (!std::regex_search(value.get<std::string>(), std::regex(pattern->get<std::string>())))
      return where + ": does not look like " + pattern->get<std::string>();
  if (value.is_array() && schema.contains("items"))
    for (std::size_t i = 0; i < value.size(); ++i)
      if (std::string p = violation(schema["items"], root, value[i], where + "[" + std::to_string(i) + "]");
          !p.empty())
        return p;
  if (!value.is_object() || !schema.contains("properties")) return "";
  for (const auto& [key, child] : value.items()) {
    if (!schema["properties"].contains(key)) return where + "." + key + ": is no key";
    if (std::string p = violation(schema["properties"][key], root, child, where + "." + key); !p.empty())
      return p;
  }
  if (schema.contains("required"))
    for (const nlohmann::ordered_json& key : schema["required"])
      if (!value.contains(key.get<std::string>())) return where + ": has no " + key.dump();
  return "";
}

// As an editor reads YAML: what looks like a number is one [YAML 1.2, core schema].
inline nlohmann::ordered_json plain_value(const std::string& text) {
  static const std::regex integer("[-+]?[0-9]+"),
      real("[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?");
  if (text == "true" || text == "false") return text == "true";
  if (std::regex_match(text, integer)) return std::stoll(text);
  if (std::regex_match(text, real)) return std::stod(text);
  return text;
}

inline nlohmann::ordered_json as_editor_reads(const std::deque<detail::Node>& nodes, std::size_t index) {
  const detail::Node& node = nodes[index];
  if (node.kind == NodeKind::scalar) return plain_value(node.text);
  nlohmann::ordered_json out =
      node.kind == NodeKind::list ? nlohmann::ordered_json::array() : nlohmann::ordered_json::object();
  for (const std::size_t c : node.children) {
    if (node.kind == NodeKind::list)
      out.push_back(as_editor_reads(nodes, c));
    else if (nodes[c].kind != NodeKind::missing)
      out[nodes[c].key] = as_editor_reads(nodes, c);
  }
  return out;
}

inline nlohmann::ordered_json as_editor_reads(const std::string& text) {
  std::deque<detail::Node> nodes;
  const detail::Source source = detail::checked_source(text, "text");
  return as_editor_reads(nodes, detail::build_tree(source, nodes, 0));
}

}  // namespace runcast
