// The readers: what each Section function understands, and how a Document is made, overridden and finished.
#include "sim/config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "sim/document_state.hpp"
#include "sim/overrides.hpp"
#include "sim/quantity.hpp"
#include "sim/source_text.hpp"
#include "sim/spelling.hpp"
#include "sim/yaml_tree.hpp"

namespace runcast {

using detail::Json;
using detail::kNone;
using detail::Node;
using detail::Problem;
using detail::Reading;

// ---- readers --------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kMaxErrorsTold = 100;

Reading<std::string> read_choice(const std::string& text, std::span<const std::string_view> legal,
                                 const std::string& path) {
  if (std::ranges::find(legal, text) != legal.end()) return {text, text, {}};
  const std::string near = nearest_name(text, std::vector<std::string>(legal.begin(), legal.end()));
  return {{},
          {},
          fmt::format("unknown value '{}' of '{}'{} legal: {}", detail::shown(text), path,
                      near.empty() ? std::string(";") : fmt::format(", did you mean '{}'?", near),
                      fmt::join(legal, " "))};
}

// A reading that may also be the word; the problem then names both.
template <class T, class Read>
Reading<std::optional<T>> read_or_word(const std::string& text, std::string_view word, Read read) {
  if (text == word) return {std::nullopt, text, {}};
  auto r = read(text);
  if (!r && (text.empty() || (text[0] >= 'A' && text[0] <= 'z')))
    r.problem = fmt::format("{}, or '{}'", r.problem, word);
  return {T(r.value), std::move(r.echo), std::move(r.problem)};
}

Json as_text(const std::string& value, const std::string&) { return value.empty() ? Json() : Json(value); }
Json as_number(double value, const std::string&) { return std::isfinite(value) ? Json(value) : Json(); }
Json as_count(std::int64_t value, const std::string&) { return Json(value); }

}  // namespace

NodeKind Section::kind(std::string_view key) const {
  state_->note(node_, key, "asked");
  state_->ask(node_, key);
  const std::size_t value = state_->value(node_, key);
  return value == kNone ? NodeKind::missing : state_->nodes[value].kind;
}

std::vector<std::string> Section::keys() const {
  std::vector<std::string> keys;
  for (const std::size_t c : state_->nodes[node_].children) keys.push_back(state_->nodes[c].key);
  return keys;
}

namespace {
Reading<std::string> read_text(const std::string& text) { return {text, text, {}}; }
Json as_given_text(const std::string& value, const std::string&) { return Json(value); }
}  // namespace

std::string Section::text(std::string_view key) {
  state_->note(node_, key, "text");
  return state_->read_scalar<std::string>(node_, key, nullptr, "", read_text, as_given_text);
}
std::string Section::text(std::string_view key, std::string_view fallback) {
  state_->note(node_, key, "text");
  const std::string instead(fallback);
  const bool given = state_->value(node_, key) != kNone;
  return state_->read_scalar<std::string>(node_, key, &instead, "", read_text,
                                          given ? as_given_text : as_text);
}

std::string Section::choice(std::string_view key, std::span<const std::string_view> legal) {
  state_->note(node_, key, "choice", legal);
  INVARIANT(!legal.empty());
  const std::string path = state_->path_of(node_, key);
  return state_->read_scalar<std::string>(
      node_, key, nullptr, std::string(legal.front()),
      [&](const std::string& text) {
        Reading<std::string> r = read_choice(text, legal, path);
        if (!r) state_->opened.at(node_).unsettled = true;
        return r;
      },
      as_text);
}
std::string Section::choice(std::string_view key, std::span<const std::string_view> legal,
                            std::string_view fallback) {
  if (state_->value(node_, key) != kNone) return choice(key, legal);
  state_->note(node_, key, "choice", legal);
  const std::string instead(fallback);
  return state_->read_scalar<std::string>(node_, key, &instead, "", read_text, as_text);
}

bool Section::flag(std::string_view key, bool fallback) {
  state_->note(node_, key, "flag");
  return state_->read_scalar<bool>(
      node_, key, &fallback, fallback,
      [](const std::string& text) -> Reading<bool> {
        if (text == "true" || text == "false") return {text == "true", text, {}};
        return {{}, {}, fmt::format("'{}' is neither true nor false", detail::shown(text))};
      },
      [](bool value, const std::string&) { return Json(value); });
}

double Section::number(std::string_view key) {
  state_->note(node_, key, "number");
  return state_->read_scalar<double>(node_, key, nullptr, 1.0, detail::read_number, as_number);
}
double Section::number(std::string_view key, double fallback) {
  state_->note(node_, key, "number");
  return state_->read_scalar<double>(node_, key, &fallback, 1.0, detail::read_number, as_number);
}
std::int64_t Section::count(std::string_view key) {
  state_->note(node_, key, "count");
  return state_->read_scalar<std::int64_t>(node_, key, nullptr, 1, detail::read_count, as_count);
}
std::int64_t Section::count(std::string_view key, std::int64_t fallback) {
  state_->note(node_, key, "count");
  return state_->read_scalar<std::int64_t>(node_, key, &fallback, 1, detail::read_count, as_count);
}

std::optional<std::int64_t> Section::count_or_word(std::string_view key, std::string_view word) {
  state_->note(node_, key, "count_or_word", {&word, 1});
  using Value = std::optional<std::int64_t>;
  const Value missing;
  return state_->read_scalar<Value>(
      node_, key, &missing, missing,
      [&](const std::string& text) { return read_or_word<std::int64_t>(text, word, detail::read_count); },
      [&](const Value& value, const std::string&) { return value ? Json(*value) : Json(std::string(word)); });
}

std::optional<Seconds> Section::seconds_or_word(std::string_view key, std::string_view word) {
  state_->note(node_, key, "seconds_or_word", {&word, 1});
  using Value = std::optional<Seconds>;
  const Value missing;
  const auto read = [](const std::string& text) {
    return detail::read_quantity(text, detail::kSecondsUnits);
  };
  return state_->read_scalar<Value>(
      node_, key, &missing, missing,
      [&](const std::string& text) { return read_or_word<Seconds>(text, word, read); },
      [&](const Value& value, const std::string& echo) { return Json(value ? echo : std::string(word)); });
}

Bytes Section::bytes(std::string_view key) {
  state_->note(node_, key, "bytes");
  return Bytes(state_->read_dimension(node_, key, detail::kBytesUnits, nullptr));
}
Bytes Section::bytes(std::string_view key, Bytes fallback) {
  state_->note(node_, key, "bytes");
  return Bytes(state_->read_dimension(node_, key, detail::kBytesUnits, &fallback.value));
}
Bandwidth Section::bandwidth(std::string_view key) {
  state_->note(node_, key, "bandwidth");
  return Bandwidth(state_->read_dimension(node_, key, detail::kBandwidthUnits, nullptr));
}
Bandwidth Section::bandwidth(std::string_view key, Bandwidth fallback) {
  state_->note(node_, key, "bandwidth");
  return Bandwidth(state_->read_dimension(node_, key, detail::kBandwidthUnits, &fallback.value));
}
Seconds Section::seconds(std::string_view key) {
  state_->note(node_, key, "seconds");
  return Seconds(state_->read_dimension(node_, key, detail::kSecondsUnits, nullptr));
}
Seconds Section::seconds(std::string_view key, Seconds fallback) {
  state_->note(node_, key, "seconds");
  return Seconds(state_->read_dimension(node_, key, detail::kSecondsUnits, &fallback.value));
}
FlopRate Section::flop_rate(std::string_view key) {
  state_->note(node_, key, "flop_rate");
  return FlopRate(state_->read_dimension(node_, key, detail::kFlopRateUnits, nullptr));
}
FlopRate Section::flop_rate(std::string_view key, FlopRate fallback) {
  state_->note(node_, key, "flop_rate");
  return FlopRate(state_->read_dimension(node_, key, detail::kFlopRateUnits, &fallback.value));
}
Watts Section::watts(std::string_view key) {
  state_->note(node_, key, "watts");
  return Watts(state_->read_dimension(node_, key, detail::kWattsUnits, nullptr));
}
Watts Section::watts(std::string_view key, Watts fallback) {
  state_->note(node_, key, "watts");
  return Watts(state_->read_dimension(node_, key, detail::kWattsUnits, &fallback.value));
}
Dollars Section::dollars(std::string_view key) {
  state_->note(node_, key, "dollars");
  return Dollars(state_->read_dimension(node_, key, detail::kDollarsUnits, nullptr));
}
Dollars Section::dollars(std::string_view key, Dollars fallback) {
  state_->note(node_, key, "dollars");
  return Dollars(state_->read_dimension(node_, key, detail::kDollarsUnits, &fallback.value));
}

namespace {
std::vector<std::string_view> names_of(std::span<const Unit> units) {
  std::vector<std::string_view> names;
  for (const Unit& unit : units) names.push_back(unit.name);
  return names;
}
}  // namespace

double Section::quantity(std::string_view key, std::span<const Unit> units) {
  state_->note(node_, key, "quantity", names_of(units));
  INVARIANT(!units.empty());
  return state_->read_dimension(node_, key, {units, units.size(), units.front().name}, nullptr);
}
double Section::quantity(std::string_view key, std::span<const Unit> units, double fallback) {
  state_->note(node_, key, "quantity", names_of(units));
  INVARIANT(!units.empty());
  return state_->read_dimension(node_, key, {units, units.size(), units.front().name}, &fallback);
}

namespace {
Json as_rate(const RatePer& rate, const std::string& echo) {
  if (!echo.empty()) return echo;
  const bool can_be_said = std::isfinite(rate.rate.value) && rate.rate.value >= 0;
  return can_be_said ? Json(detail::write_event_rate(rate)) : Json();
}
}  // namespace

RatePer Section::event_rate(std::string_view key) {
  state_->note(node_, key, "event_rate");
  return state_->read_scalar<RatePer>(node_, key, nullptr, {EventRate(1), ""}, detail::read_event_rate,
                                      as_rate);
}
RatePer Section::event_rate(std::string_view key, RatePer fallback) {
  state_->note(node_, key, "event_rate");
  return state_->read_scalar<RatePer>(node_, key, &fallback, fallback, detail::read_event_rate, as_rate);
}

// ---- maps and lists -------------------------------------------------------------------------------------

Section Section::section(std::string_view key) {
  if (auto found = optional_section(key)) return *found;
  state_->miss(node_, key);
  return {state_, state_->add_map(node_, key, true)};
}

std::optional<Section> Section::optional_section(std::string_view key) {
  state_->note(node_, key, "section");
  const std::size_t value = state_->take(node_, key);
  if (value == kNone) return std::nullopt;
  if (const NodeKind kind = state_->nodes[value].kind; kind != NodeKind::map) {
    state_->fail(
        node_, key,
        fmt::format("'{}' must be a map, not {}", state_->path_of(node_, key), detail::kind_name(kind)));
    return Section{state_, state_->add_map(node_, key, true)};
  }
  state_->open_map(value, state_->path_of(node_, key));
  state_->echo_map(node_, key, {value}, false);
  return Section{state_, value};
}

Section Section::section_or_empty(std::string_view key) {
  if (auto found = optional_section(key)) return *found;
  const auto& known = state_->opened.at(node_).echo_maps;
  const auto old = std::ranges::find(known, key, [](const auto& e) -> std::string_view { return e.first; });
  if (old != known.end()) return {state_, old->second.front()};
  const std::size_t made = state_->add_map(node_, key, false);
  state_->echo_map(node_, key, {made}, false);
  return {state_, made};
}

std::vector<std::size_t> Section::items(std::string_view key, const char* example) {
  const std::size_t value = state_->take(node_, key);
  if (value == kNone) return {};
  const Node& node = state_->nodes[value];
  if (node.kind == NodeKind::list) return node.children;
  state_->fail(node_, key,
               fmt::format("'{}' must be a list, for example {}, not {}", state_->path_of(node_, key),
                           example, detail::kind_name(node.kind)));
  return {};
}

std::vector<Section> Section::list(std::string_view key) {
  state_->note(node_, key, "list");
  std::vector<Section> sections;
  std::vector<std::size_t> maps;
  const std::string path = state_->path_of(node_, key);
  const std::vector<std::size_t> all = items(key, "[{...}, {...}]");
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Node& item = state_->nodes[all[i]];
    std::string name = fmt::format("{}[{}]", path, i);
    if (item.kind != NodeKind::map) {
      state_->report(item.place,
                     fmt::format("'{}' must be a map, not {}", name, detail::kind_name(item.kind)));
      continue;
    }
    maps.push_back(state_->open_map(all[i], std::move(name)));
    sections.push_back(Section{state_, all[i]});
  }
  if (kind(key) == NodeKind::list) state_->echo_map(node_, key, std::move(maps), true);
  return sections;
}

std::vector<std::string> Section::texts(std::string_view key) {
  state_->note(node_, key, "texts");
  std::vector<std::string> out;
  const std::string path = state_->path_of(node_, key);
  for (const std::size_t c : items(key, "[a, b]")) {
    const Node& item = state_->nodes[c];
    if (item.kind == NodeKind::scalar)
      out.push_back(item.text);
    else
      state_->report(item.place, fmt::format("an item of '{}' must be a single value, not {}", path,
                                             detail::kind_name(item.kind)));
  }
  if (kind(key) == NodeKind::list) state_->echo(node_, key, out);
  return out;
}

std::vector<std::int64_t> Section::counts(std::string_view key) {
  state_->note(node_, key, "counts");
  std::vector<std::int64_t> out;
  const std::string path = state_->path_of(node_, key);
  for (const std::size_t c : items(key, "[1, 2]")) {
    const Node& item = state_->nodes[c];
    if (item.kind != NodeKind::scalar) {
      state_->report(item.place, fmt::format("an item of '{}' must be a single value, not {}", path,
                                             detail::kind_name(item.kind)));
      continue;
    }
    const auto r = detail::read_count(item.text);
    if (r)
      out.push_back(r.value);
    else
      state_->report(item.place, r.problem);
  }
  if (kind(key) == NodeKind::list) state_->echo(node_, key, out);
  return out;
}

void Section::skip(std::string_view key) {
  state_->note(node_, key, "skip");
  const std::size_t value = state_->take(node_, key);
  if (value != kNone) state_->echo(node_, key, state_->raw(value));
}

void Section::fail(std::string_view key, const std::string& sentence) { state_->fail(node_, key, sentence); }
void Section::fail(const std::string& sentence) {
  if (!state_->opened.at(node_).silent) state_->report(state_->nodes[node_].key_place, sentence);
}
Location Section::location(std::string_view key) const { return state_->location(state_->place(node_, key)); }
Location Section::location() const { return state_->location(state_->nodes[node_].key_place); }
bool Section::ok() const { return state_->ok(); }
const std::string& Section::path() const { return state_->opened.at(node_).path; }

// ---- the document ---------------------------------------------------------------------------------------

Document::Document(std::unique_ptr<detail::DocumentState> state) : state_(std::move(state)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Document Document::parse(std::string text, std::string name) {
  auto state =
      std::make_unique<detail::DocumentState>(detail::checked_source(std::move(text), std::move(name)));
  state->root = detail::build_tree(state->source, state->nodes, 0);
  if (state->root == kNone || state->nodes[state->root].kind == NodeKind::missing)
    detail::refuse(state->source, {}, "is empty");
  Node& root = state->nodes[state->root];
  if (root.kind != NodeKind::map)
    detail::refuse(state->source, root.place,
                   fmt::format("must be a map of keys, not {}", detail::kind_name(root.kind)));
  root.key_place = {};  // what is missing in the root is missing in the whole file
  if (const auto doubled = detail::doubled_keys(state->nodes, 0); !doubled.empty()) {
    std::vector<std::string> lines;
    for (const Problem& p : std::span(doubled).first(std::min(doubled.size(), kMaxErrorsTold)))
      lines.push_back(state->told(p));
    throw ConfigError(fmt::format("{}", fmt::join(lines, "\n")));
  }
  state->open_map(state->root, "");
  return Document(std::move(state));
}

Document Document::load(const std::string& path) { return parse(detail::file_text(path), path); }

void Document::set(std::string_view assignment) {
  const std::string name = "--set " + detail::shown(assignment);
  const std::size_t equals = assignment.find('=');
  const std::string_view path = assignment.substr(0, equals == std::string_view::npos ? 0 : equals);
  const std::vector<detail::PathStep> steps = detail::path_steps(path);
  if (steps.empty() || steps.size() > detail::kMaxDepth)
    throw ConfigError(fmt::format("{}: is not an assignment, write for example --set layout.tensor=4", name));
  const detail::Source source = detail::checked_source(std::string(assignment.substr(equals + 1)), name);
  const std::size_t first = state_->nodes.size(), origin = state_->sets.size() + 1;
  const std::size_t value = detail::build_tree(source, state_->nodes, origin);
  if (const auto doubled = detail::doubled_keys(state_->nodes, first); !doubled.empty())
    detail::refuse(source, {}, doubled.front().sentence);
  state_->sets.emplace_back(assignment);
  detail::assign(*state_, origin, steps, value);
}

Section Document::root() { return {state_.get(), state_->root}; }

void Document::finish() {
  for (const auto& [node, map] : state_->opened)
    if (!map.silent) state_->report_unread(node);
  std::vector<Problem>& all = state_->problems;
  if (all.empty()) return;
  std::ranges::stable_sort(all, {}, &Problem::place);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  std::string message;
  for (std::size_t i = 0; i < std::min(all.size(), kMaxErrorsTold); ++i)
    message += (i > 0 ? "\n" : "") + state_->told(all[i]);
  if (all.size() > kMaxErrorsTold)
    message += fmt::format("\n... and {} more errors", all.size() - kMaxErrorsTold);
  throw ConfigError(message);
}

void Document::record_readings() { state_->recording = true; }
const std::vector<KeyReading>& Document::readings() const { return state_->readings; }
bool Document::ok() const { return state_->ok(); }
const std::string& Document::name() const { return state_->source.name(); }
Json Document::resolved() const { return state_->resolved(state_->root); }

}  // namespace runcast
