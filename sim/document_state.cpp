#include "sim/document_state.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/spelling.hpp"

namespace runcast::detail {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}
void add_once(std::vector<std::string>& list, std::string_view word) {
  if (!contains(list, word)) list.emplace_back(word);
}

// The entry of `key` in a list of pairs.
template <class Pairs>
auto entry(Pairs& pairs, std::string_view key) {
  return std::ranges::find(pairs, key, [](const auto& pair) -> std::string_view { return pair.first; });
}

}  // namespace

// ---- the tree -------------------------------------------------------------------------------------------

std::size_t DocumentState::child(std::size_t map, std::string_view key) const {
  for (const std::size_t c : nodes[map].children)
    if (nodes[c].key == key) return c;
  return kNone;
}

std::size_t DocumentState::value(std::size_t map, std::string_view key) const {
  const std::size_t c = child(map, key);
  return c != kNone && nodes[c].kind != NodeKind::missing ? c : kNone;
}

std::string DocumentState::path_of(std::size_t map, std::string_view key) const {
  const std::string& path = opened.at(map).path;
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::size_t DocumentState::open_map(std::size_t node, std::string path) {
  opened[node].path = std::move(path);
  return node;
}

std::size_t DocumentState::add_map(std::size_t parent, std::string_view key, bool silent) {
  const std::size_t made = nodes.size();
  const Place where = place(parent, key);
  Node& node = nodes.emplace_back();
  node.kind = NodeKind::map;
  node.key = key;
  node.place = node.key_place = where;
  opened[made].silent = silent || opened.at(parent).silent;
  return open_map(made, path_of(parent, key));
}

// ---- errors ---------------------------------------------------------------------------------------------

Place DocumentState::place(std::size_t map, std::string_view key) const {
  const std::size_t c = child(map, key);
  if (c == kNone) return nodes[map].key_place;
  return nodes[c].kind == NodeKind::scalar ? nodes[c].place : nodes[c].key_place;
}

Location DocumentState::location(Place place) const {
  if (place.origin != 0) return {"--set " + sets[place.origin - 1], 0, 0};
  return source.location(place);
}

std::string DocumentState::told(const Problem& problem) const {
  if (problem.place.origin == 0) return source.told(problem);
  return fmt::format("--set {}: {}", shown(sets[problem.place.origin - 1]), problem.sentence);
}

void DocumentState::fail(std::size_t map, std::string_view key, std::string sentence) {
  if (!opened.at(map).silent) report(place(map, key), std::move(sentence));
}

// ---- what was asked and read ----------------------------------------------------------------------------

void DocumentState::ask(std::size_t map, std::string_view key) { add_once(opened.at(map).asked, key); }

std::size_t DocumentState::take(std::size_t map, std::string_view key) {
  ask(map, key);
  add_once(opened.at(map).read, key);
  return value(map, key);
}

void DocumentState::note(std::size_t map, std::string_view key, std::string_view form,
                         std::span<const std::string_view> words) {
  if (!recording || opened.at(map).silent) return;
  KeyReading reading{"", std::string(form), {words.begin(), words.end()}, ""};
  bool inside = false;  // of an index
  for (const char c : path_of(map, key)) {
    if (c == ']') inside = false;
    if (!inside) reading.path += c;
    if (c == '[') inside = true;
  }
  readings.push_back(std::move(reading));
}

void DocumentState::miss(std::size_t map, std::string_view key) {
  if (opened.at(map).silent) return;
  add_once(opened.at(map).missing, key);
  anything_missing = true;
}

void DocumentState::report_unread(std::size_t index) {
  const OpenedMap& map = opened.at(index);
  std::vector<std::string> absent, found;  // legal names not in the map; those that a typo stands for
  for (const std::string& name : map.asked)
    if (child(index, name) == kNone) absent.push_back(name);
  for (const std::size_t c : nodes[index].children) {
    const std::string& key = nodes[c].key;
    if (contains(map.read, key)) continue;
    const std::string name = shown(path_of(index, key));
    if (contains(map.asked, key)) {
      report(nodes[c].key_place, fmt::format("key '{}' has no effect here", name));
      continue;
    }
    std::string near = nearest_name(key, absent);
    if (near.empty()) near = nearest_name(key, map.asked);
    if (!near.empty()) {
      found.push_back(near);
      report(nodes[c].key_place, fmt::format("unknown key '{}', did you mean '{}'?", name, near));
    } else if (!map.unsettled) {
      const std::string legal =
          map.asked.empty() ? "" : fmt::format("; legal: {}", fmt::join(map.asked, " "));
      report(nodes[c].key_place, fmt::format("unknown key '{}'{}", name, legal));
    }
  }
  for (const std::string& key : map.missing)
    if (!contains(found, key))
      report(place(index, key), fmt::format("missing key '{}'", path_of(index, key)));
}

// ---- the echo -------------------------------------------------------------------------------------------

void DocumentState::echo(std::size_t map, std::string_view key, Json value) {
  auto& list = opened.at(map).echo;
  if (const auto old = entry(list, key); old != list.end())
    old->second = std::move(value);
  else
    list.emplace_back(key, std::move(value));
}

void DocumentState::echo_map(std::size_t map, std::string_view key, std::vector<std::size_t> maps,
                             bool is_list) {
  echo(map, key, is_list ? Json::array() : Json(nullptr));
  auto& list = opened.at(map).echo_maps;
  std::erase_if(list, [&](const auto& e) { return e.first == key; });
  list.emplace_back(key, std::move(maps));
}

Json DocumentState::raw(std::size_t index) const {
  const Node& node = nodes[index];
  switch (node.kind) {
    case NodeKind::missing:
      return nullptr;
    case NodeKind::scalar:
      return node.text;
    case NodeKind::list: {
      Json list = Json::array();
      for (const std::size_t c : node.children) list.push_back(raw(c));
      return list;
    }
    case NodeKind::map:
      break;
  }
  Json map = Json::object();
  for (const std::size_t c : node.children) map[nodes[c].key] = raw(c);
  return map;
}

Json DocumentState::resolved(std::size_t index) const {
  const OpenedMap& map = opened.at(index);
  Json out = Json::object();
  for (const auto& [key, told] : map.echo) {
    const auto maps = entry(map.echo_maps, key);
    if (maps == map.echo_maps.end()) {
      out[key] = told;
    } else if (told.is_array()) {
      Json list = Json::array();
      for (const std::size_t m : maps->second) list.push_back(resolved(m));
      out[key] = std::move(list);
    } else {
      Json inner = resolved(maps->second.front());
      // An absent section of which nothing was read stays absent.
      if (!inner.empty() || value(index, key) != kNone) out[key] = std::move(inner);
    }
  }
  return out;
}

// ---- scalars --------------------------------------------------------------------------------------------

const std::string* DocumentState::scalar(std::size_t map, std::string_view key, std::size_t node) {
  if (nodes[node].kind == NodeKind::scalar) return &nodes[node].text;
  fail(map, key,
       fmt::format("'{}' must be a single value, not {}", path_of(map, key), kind_name(nodes[node].kind)));
  return nullptr;
}

double DocumentState::read_dimension(std::size_t map, std::string_view key, const UnitTable& table,
                                     const double* fallback) {
  return read_scalar<double>(
      map, key, fallback, 1.0, [&](const std::string& text) { return read_quantity(text, table); },
      [&](double value, std::string echo) {
        if (!echo.empty()) return Json(std::move(echo));
        if (!std::isfinite(value) || value < 0) return Json();  // a default that no text can say
        return Json(write_quantity(value, table));
      });
}

}  // namespace runcast::detail
