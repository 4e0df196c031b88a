// Located configuration, in three parts: the tree (yaml-cpp's events become nodes that know their place, and
// yaml-cpp is never seen again), the readers, and the report of what nobody read.
// Leaves out of YAML: anchors, aliases, merge keys, tags, several documents, keys that are not words.
#include "sim/config.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "sim/quantity.hpp"

namespace runcast {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxNodes = 100'000;
constexpr std::size_t kMaxErrorsTold = 100;
constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Where something stands: origin 0 is the file, origin k the k-th --set. 1-based; line 0 is the whole text.
// Columns are bytes here, as yaml-cpp counts; Source tells them in characters.
struct Place {
  std::size_t origin = 0;
  int line = 0, column = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

// One value of the document. Nodes never move and are never freed: a Section is an index.
struct Node {
  NodeKind kind = NodeKind::missing;
  std::string text;  // of a scalar
  bool quoted = false;
  std::string key;  // in its map
  Place key_place, place;
  std::vector<std::size_t> children;  // in file order

  // What the readers did with it, when it is a map that was opened.
  bool opened = false;
  bool silent = false;     // stands in for a section that could not be read: its readers record no errors
  bool unsettled = false;  // a choice failed here: which keys are legal may depend on it
  std::string path;
  std::vector<std::string> asked;                  // keys, in the order of the first question
  std::vector<std::string> read;                   // keys that were read
  std::vector<std::string> missing;                // required keys that are not there
  std::vector<std::pair<std::string, Json>> echo;  // of scalars and lists of scalars
  std::vector<std::pair<std::string, std::vector<std::size_t>>> echo_maps;
};

struct Problem {
  Place place;
  std::string sentence;
  friend auto operator<=>(const Problem&, const Problem&) = default;
};

std::string kind_name(NodeKind kind) {
  switch (kind) {
    case NodeKind::missing:
      return "nothing";
    case NodeKind::scalar:
      return "a single value";
    case NodeKind::list:
      return "a list";
    case NodeKind::map:
      return "a map";
  }
  return {};
}

// ---- the text and the errors in it ----------------------------------------------------------------------

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

int characters(std::string_view bytes) {
  return static_cast<int>(std::ranges::count_if(bytes, [](char c) { return !is_continuation(c); }));
}

class Source {
 public:
  Source(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {
    starts_.push_back(0);
    for (std::size_t i = 0; i < text_.size(); ++i)
      if (text_[i] == '\n') starts_.push_back(i + 1);
  }
  const std::string& name() const { return name_; }
  const std::string& text() const { return text_; }

  std::string_view line(int number) const {  // 1-based; empty past the end
    if (number < 1 || static_cast<std::size_t>(number) > starts_.size()) return {};
    const std::size_t start = starts_[static_cast<std::size_t>(number) - 1];
    return std::string_view(text_).substr(start, text_.find('\n', start) - start);
  }
  Place place_of(int line0, int column0) const {  // from 0-based
    if (line0 < 0) return {};
    return {0, line0 + 1, std::max(column0, 0) + 1};
  }
  Location location(Place place) const {
    if (place.line == 0) return {name_, 0, 0};
    return {name_, place.line, characters(line(place.line).substr(0, byte_of(place))) + 1};
  }
  Place place_of(std::size_t byte) const {
    const auto next = std::ranges::upper_bound(starts_, byte);
    const auto line0 = next - starts_.begin() - 1;
    return place_of(static_cast<int>(line0),
                    static_cast<int>(byte - starts_[static_cast<std::size_t>(line0)]));
  }

  // "file:line:column: sentence", the source line, the caret.
  std::string told(const Problem& problem) const {
    if (problem.place.line == 0) return fmt::format("{}: {}", name_, problem.sentence);
    const Location at = location(problem.place);
    return fmt::format("{}:{}:{}: {}\n{}", name_, at.line, at.column, problem.sentence,
                       excerpt(line(at.line), static_cast<std::size_t>(at.column) - 1));
  }

 private:
  std::size_t byte_of(Place place) const {
    return std::min(static_cast<std::size_t>(place.column) - 1, line(place.line).size());
  }
  // The line and a caret below its character; a window of a long line. Tabs become single blanks.
  static std::string excerpt(std::string_view text, std::size_t character) {
    constexpr std::size_t width = 120;
    std::vector<std::string> cells;
    for (const char c : text) {
      if (is_continuation(c) && !cells.empty())
        cells.back() += c;
      else
        cells.emplace_back(1, static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
    }
    std::size_t first = 0, last = cells.size();
    if (cells.size() > width) {
      first = character > width / 2 ? character - width / 2 : 0;
      last = std::min(first + width, cells.size());
    }
    std::string shown = first > 0 ? "..." : "";
    const std::size_t caret = shown.size() + character - first;
    for (std::size_t i = first; i < last; ++i) shown += cells[i];
    if (last < cells.size()) shown += "...";
    return fmt::format("{}\n{}^", shown, std::string(caret, ' '));
  }

  std::string name_, text_;
  std::vector<std::size_t> starts_;
};

[[noreturn]] void refuse(const Source& source, Place place, std::string sentence) {
  throw ConfigError(source.told({place, std::move(sentence)}));
}

// The first byte that is not UTF-8 (RFC 3629: no overlong forms, no surrogates), or npos.
std::size_t find_invalid_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char lead = byte(i);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || i + length > text.size()) return i;
    for (std::size_t k = 1; k < length; ++k)
      if ((byte(i + k) & 0xC0) != 0x80) return i;
    if ((lead == 0xE0 && byte(i + 1) < 0xA0) || (lead == 0xED && byte(i + 1) > 0x9F) ||
        (lead == 0xF0 && byte(i + 1) < 0x90) || (lead == 0xF4 && byte(i + 1) > 0x8F))
      return i;
    i += length;
  }
  return std::string_view::npos;
}

// Byte order mark dropped, CR LF and CR as LF.
std::string with_unix_lines(std::string text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r')
      out += text[i];
    else if (i + 1 == text.size() || text[i + 1] != '\n')
      out += '\n';
  }
  return out;
}

// What yaml-cpp must not be asked to read.
Source checked_source(std::string text, std::string name) {
  if (text.size() > kMaxBytes) throw ConfigError(fmt::format("{}: is larger than 1 MiB", name));
  Source source(std::move(name), with_unix_lines(std::move(text)));
  const std::string& clean = source.text();
  if (const std::size_t bad = find_invalid_utf8(clean); bad != std::string::npos)
    throw ConfigError(fmt::format("{}:{}: is not UTF-8 text (byte 0x{:02x})", source.name(),
                                  source.place_of(bad).line, static_cast<unsigned char>(clean[bad])));
  for (std::size_t i = 0; i < clean.size(); ++i) {
    const auto c = static_cast<unsigned char>(clean[i]);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
      refuse(source, source.place_of(i), fmt::format("control character 0x{:02x} in the text", c));
  }
  return source;
}

// ---- the tree -------------------------------------------------------------------------------------------

// Builds nodes out of yaml-cpp's events. Throws out of the middle of the parse at what is refused, so that no
// limit is met late.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const Source& source, std::deque<Node>& nodes, std::size_t origin)
      : source_(source), nodes_(nodes), origin_(origin) {}
  std::size_t root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_ != kNone) refuse(source_, place(mark), "a second YAML document; a scenario is one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_extras(mark, "?", anchor);
    if (expects_key()) refuse(source_, place(mark), "a key is missing before ':'");
    add(NodeKind::missing, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(source_, place(mark), "aliases (*name) are not supported, write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_extras(mark, tag, anchor);
    if (tag == "!") check_quote(mark);
    if (expects_key()) return take_key(mark, tag, value);
    Node& node = add(NodeKind::scalar, mark);
    node.text = value;
    node.quoted = tag == "!";
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(NodeKind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { stack_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(NodeKind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { stack_.pop_back(); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    refuse(source_, place(mark), "anchors (&name) are not supported, write the value out where it is used");
  }

 private:
  struct Frame {
    std::size_t node;
    bool is_map;
    bool has_key = false;
    std::string key = {};
    Place key_place = {};
  };

  Place place(const YAML::Mark& mark) const {
    if (origin_ != 0) return {origin_, 0, 0};
    return source_.place_of(mark.line, mark.column);
  }
  bool expects_key() const { return !stack_.empty() && stack_.back().is_map && !stack_.back().has_key; }

  void refuse_extras(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor)
      refuse(source_, place(mark), "anchors (&name) are not supported, write the value out where it is used");
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(source_, place(mark), "tags (!name) are not supported, write the plain value");
  }

  // yaml-cpp 0.7 takes the end of the text for the end of an open quote.
  void check_quote(const YAML::Mark& mark) const {
    const std::string& text = source_.text();
    const auto start = static_cast<std::size_t>(std::max(mark.pos, 0));
    if (start >= text.size() || (text[start] != '"' && text[start] != '\'')) return;  // a block scalar
    const char quote = text[start];
    for (std::size_t i = start + 1; i < text.size(); ++i) {
      if (quote == '"' && text[i] == '\\')
        ++i;
      else if (quote == '\'' && text[i] == quote && i + 1 < text.size() && text[i + 1] == quote)
        ++i;
      else if (text[i] == quote)
        return;
    }
    refuse(source_, place(mark), "not YAML: a quote that is not closed");
  }

  void take_key(const YAML::Mark& mark, const std::string& tag, const std::string& key) {
    if (key == "<<" && tag != "!")
      refuse(source_, place(mark), "merge keys (<<) are not supported, write the keys out");
    Frame& frame = stack_.back();
    frame.key = key;
    frame.key_place = place(mark);
    frame.has_key = true;
  }

  void open(NodeKind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_extras(mark, tag, anchor);
    if (expects_key())
      refuse(source_, place(mark), "a list or a map where a key is due, or a bracket that is not closed");
    if (stack_.size() == kMaxDepth)
      refuse(source_, place(mark), fmt::format("nested deeper than {} levels", kMaxDepth));
    add(kind, mark);
    stack_.push_back({nodes_.size() - 1, kind == NodeKind::map});
  }

  Node& add(NodeKind kind, const YAML::Mark& mark) {
    if (nodes_.size() >= kMaxNodes)
      refuse(source_, place(mark), fmt::format("more than {} values", kMaxNodes));
    const std::size_t index = nodes_.size();
    Node& node = nodes_.emplace_back();
    node.kind = kind;
    node.place = node.key_place = place(mark);
    if (stack_.empty()) {
      root_ = index;
    } else {
      Frame& parent = stack_.back();
      if (parent.is_map) {
        node.key = std::move(parent.key);
        node.key_place = parent.key_place;
        parent.has_key = false;
      }
      nodes_[parent.node].children.push_back(index);
    }
    return node;
  }

  const Source& source_;
  std::deque<Node>& nodes_;
  std::size_t origin_;
  std::vector<Frame> stack_;
  std::size_t root_ = kNone;
};

// A tab in the indentation is the usual reason when a text is not YAML: the first such line up to the error.
Place find_tab_indent(const Source& source, int last_line) {
  for (int number = 1; number <= last_line; ++number) {
    const std::string_view line = source.line(number);
    const std::size_t text = line.find_first_not_of(" \t");
    const std::size_t tab = line.find('\t');
    if (text != std::string_view::npos && tab < text) return {0, number, static_cast<int>(tab) + 1};
  }
  return {};
}

// The root of the only document in the text; kNone when there is none.
std::size_t build_tree(const Source& source, std::deque<Node>& nodes, std::size_t origin) {
  TreeBuilder builder(source, nodes, origin);
  try {
    std::istringstream stream(source.text());
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return kNone;
    if (parser.HandleNextDocument(builder)) refuse(source, {}, "a second YAML document; a scenario is one");
  } catch (const YAML::Exception& e) {
    if (origin != 0) refuse(source, {}, fmt::format("not YAML: {}", e.msg));
    if (const Place tab = find_tab_indent(source, e.mark.line + 1); tab.line != 0)
      refuse(source, tab, "a tab in the indentation; YAML allows only spaces there");
    refuse(source, source.place_of(e.mark.line, e.mark.column), fmt::format("not YAML: {}", e.msg));
  }
  return builder.root();
}

// Maps with a doubled key, in file order.
std::vector<Problem> doubled_keys(const std::deque<Node>& nodes, std::size_t first) {
  std::vector<Problem> problems;
  for (std::size_t i = first; i < nodes.size(); ++i) {
    if (nodes[i].kind != NodeKind::map) continue;
    std::vector<std::size_t> order = nodes[i].children;
    std::ranges::stable_sort(order, {}, [&](std::size_t c) -> const std::string& { return nodes[c].key; });
    for (std::size_t k = 1; k < order.size(); ++k) {
      const Node &before = nodes[order[k - 1]], &again = nodes[order[k]];
      if (before.key != again.key) continue;
      const std::string where = again.key_place.origin == 0
                                    ? fmt::format("already given in line {}", before.key_place.line)
                                    : "given twice";
      problems.push_back({again.key_place, fmt::format("key '{}' is {}", detail::shown(again.key), where)});
    }
  }
  std::ranges::sort(problems);
  return problems;
}

// ---- did you mean ---------------------------------------------------------------------------------------

// Edits that turn a into b: insert, delete, replace, swap of neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const std::string near = nearest_name(word, candidates);
  return near.empty() ? std::string() : fmt::format(", did you mean '{}'?", near);
}

template <class Range>
std::string joined(const Range& words) {
  std::string out;
  for (const auto& w : words) {
    if (!out.empty()) out += ' ';
    out += w;
  }
  return out;
}

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}
void add_once(std::vector<std::string>& list, std::string_view word) {
  if (!contains(list, word)) list.emplace_back(word);
}

}  // namespace

std::string nearest_name(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  std::size_t least = kNone;
  for (const std::string& candidate : candidates) {
    const std::size_t longer = std::max(word.size(), candidate.size());
    const std::size_t shorter = std::min(word.size(), candidate.size());
    if (longer > 200 || longer - shorter > longer / 3) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance <= longer / 3 && distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

// ---- the document's state: nodes, questions asked, errors -----------------------------------------------

namespace detail {

struct DocumentState {
  Source source;
  std::deque<Node> nodes;
  std::size_t root = kNone;
  std::vector<std::string> sets;  // the text of each --set
  std::vector<Problem> problems;
  bool anything_missing = false;

  explicit DocumentState(Source s) : source(std::move(s)) {}

  std::size_t child(std::size_t map, std::string_view key) const {
    for (const std::size_t c : nodes[map].children)
      if (nodes[c].key == key) return c;
    return kNone;
  }
  // The value if it is there and not null.
  std::size_t value(std::size_t map, std::string_view key) const {
    const std::size_t c = child(map, key);
    return c != kNone && nodes[c].kind != NodeKind::missing ? c : kNone;
  }
  std::string path_of(std::size_t map, std::string_view key) const {
    const std::string& path = nodes[map].path;
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }
  Place place(std::size_t map, std::string_view key) const {
    const std::size_t c = child(map, key);
    if (c == kNone) return nodes[map].key_place;
    return nodes[c].kind == NodeKind::scalar ? nodes[c].place : nodes[c].key_place;
  }
  void report(Place place, std::string sentence) { problems.push_back({place, std::move(sentence)}); }
  void fail(std::size_t map, std::string_view key, std::string sentence) {
    if (!nodes[map].silent) report(place(map, key), std::move(sentence));
  }
  bool ok() const { return problems.empty() && !anything_missing; }
  Location location(Place place) const {
    if (place.origin != 0) return {set_name(place.origin), 0, 0};
    return source.location(place);
  }
  std::string set_name(std::size_t origin) const { return "--set " + sets[origin - 1]; }
  std::string told(const Problem& p) const {
    if (p.place.origin != 0) return fmt::format("{}: {}", shown_set(p.place.origin), p.sentence);
    return source.told(p);
  }
  std::string shown_set(std::size_t origin) const { return "--set " + shown(sets[origin - 1]); }

  // Marks the key as asked for and read; its value or kNone.
  std::size_t take(std::size_t map, std::string_view key) {
    add_once(nodes[map].asked, key);
    add_once(nodes[map].read, key);
    return value(map, key);
  }
  void miss(std::size_t map, std::string_view key) {
    if (nodes[map].silent) return;
    add_once(nodes[map].missing, key);
    anything_missing = true;
  }
  void echo(std::size_t map, std::string_view key, Json value) {
    auto& list = nodes[map].echo;
    const auto old = std::ranges::find(list, key, [](const auto& e) -> std::string_view { return e.first; });
    if (old == list.end())
      list.emplace_back(key, std::move(value));
    else
      old->second = std::move(value);
  }
  // A place in the echo, in reading order, that the maps' own echoes will fill.
  void echo_map(std::size_t map, std::string_view key, std::vector<std::size_t> maps, bool is_list) {
    echo(map, key, is_list ? Json::array() : Json(nullptr));
    std::erase_if(nodes[map].echo_maps, [&](const auto& e) { return e.first == key; });
    nodes[map].echo_maps.emplace_back(key, std::move(maps));
  }

  // The text of a scalar; an error and nothing when it is a list or a map.
  const std::string* scalar(std::size_t map, std::string_view key, std::size_t node) {
    if (nodes[node].kind == NodeKind::scalar) return &nodes[node].text;
    fail(map, key,
         fmt::format("'{}' must be a single value, not {}", path_of(map, key), kind_name(nodes[node].kind)));
    return nullptr;
  }

  // The one way in which every scalar is read: `read` turns text into a Reading, `to_json` echoes it.
  // `harmless` is returned where there is no value to return.
  template <class T, class Read, class ToJson>
  T read_scalar(std::size_t map, std::string_view key, const T* fallback, T harmless, Read read,
                ToJson to_json) {
    const std::size_t node = take(map, key);
    if (node == kNone) {
      if (fallback == nullptr) return miss(map, key), harmless;
      if (Json told = to_json(*fallback, std::string()); !told.is_null()) echo(map, key, std::move(told));
      return *fallback;
    }
    const T instead = fallback != nullptr ? *fallback : harmless;
    const std::string* text = scalar(map, key, node);
    if (text == nullptr) return instead;
    Reading<T> reading = read(*text);
    if (!reading) return fail(map, key, std::move(reading.problem)), instead;
    echo(map, key, to_json(reading.value, reading.echo));
    return reading.value;
  }

  double read_dimension(std::size_t map, std::string_view key, const UnitTable& table,
                        const double* fallback) {
    return read_scalar<double>(
        map, key, fallback, 1.0, [&](const std::string& text) { return read_quantity(text, table); },
        [&](double value, std::string echo) {
          if (!echo.empty()) return Json(std::move(echo));
          if (!std::isfinite(value) || value < 0) return Json();  // a default that no text can say
          return Json(write_quantity(value, table));
        });
  }

  std::size_t open_map(std::size_t node, std::string path) {
    nodes[node].opened = true;
    nodes[node].path = std::move(path);
    return node;
  }
  // An empty map that is not in the document.
  std::size_t add_map(std::size_t parent, std::string_view key, bool silent) {
    Node& node = nodes.emplace_back();
    node.kind = NodeKind::map;
    node.silent = silent || nodes[parent].silent;
    node.key = key;
    node.place = node.key_place = place(parent, key);
    return open_map(nodes.size() - 1, path_of(parent, key));
  }

  Json raw(std::size_t node) const;
  Json resolved(std::size_t map) const;
  void report_unread(std::size_t map);
  void assign(std::size_t origin, std::string_view path, std::size_t value);
};

// A subtree as it stands, for what was skipped.
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
  const Node& map = nodes[index];
  Json out = Json::object();
  for (const auto& [key, told] : map.echo) {
    const auto maps =
        std::ranges::find(map.echo_maps, key, [](const auto& e) -> const std::string& { return e.first; });
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

// Every key of an opened map that nobody read; then the required keys that no misspelt one stands for.
void DocumentState::report_unread(std::size_t index) {
  const Node& map = nodes[index];
  std::vector<std::string> absent, found;  // legal names not in the map; those that a typo stands for
  for (const std::string& name : map.asked)
    if (child(index, name) == kNone) absent.push_back(name);
  for (const std::size_t c : map.children) {
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
      const std::string legal = map.asked.empty() ? "" : fmt::format("; legal: {}", joined(map.asked));
      report(nodes[c].key_place, fmt::format("unknown key '{}'{}", name, legal));
    }
  }
  for (const std::string& key : map.missing)
    if (!contains(found, key))
      report(place(index, key), fmt::format("missing key '{}'", path_of(index, key)));
}

// ---- --set ----------------------------------------------------------------------------------------------

namespace {

struct Step {  // of a path: a key, or an index when the key is empty
  std::string key;
  std::size_t index = 0;
};

// "failures.classes[0].rate"; empty when it is no path.
std::vector<Step> path_steps(std::string_view path) {
  std::vector<Step> steps;
  while (!path.empty()) {
    if (path[0] == '[') {
      const std::size_t close = path.find(']');
      if (steps.empty() || close == std::string_view::npos || close < 2 || close > 7) return {};
      std::size_t index = 0;
      for (const char c : path.substr(1, close - 1)) {
        if (c < '0' || c > '9') return {};
        index = index * 10 + static_cast<std::size_t>(c - '0');
      }
      steps.push_back({"", index});
      path.remove_prefix(close + 1);
    } else {
      if (!steps.empty()) {
        if (path[0] != '.') return {};
        path.remove_prefix(1);
      }
      const std::string_view key = path.substr(0, path.find_first_of(".["));
      if (key.empty()) return {};
      steps.push_back({std::string(key), 0});
      path.remove_prefix(key.size());
    }
  }
  return steps;
}

}  // namespace

// Walks to the place of `path`, making the maps and lists that are missing, and puts `value` there.
void DocumentState::assign(std::size_t origin, std::string_view path, std::size_t value) {
  std::size_t at = root;
  std::string walked;
  for (const Step& step : path_steps(path)) {
    Node& node = nodes[at];
    const NodeKind needed = step.key.empty() ? NodeKind::list : NodeKind::map;
    if (node.kind == NodeKind::missing) node.kind = needed;
    if (node.kind != needed) {
      const std::string is = node.kind == NodeKind::scalar ? fmt::format("the value '{}'", shown(node.text))
                                                           : kind_name(node.kind);
      return report({origin, 0, 0}, fmt::format("'{}' is {}, not {}", walked, is, kind_name(needed)));
    }
    if (step.key.empty() && step.index > node.children.size())
      return report({origin, 0, 0}, fmt::format("'{}' has {} items, there is no [{}]", walked,
                                                node.children.size(), step.index));
    std::size_t next = step.key.empty()
                           ? (step.index < node.children.size() ? node.children[step.index] : kNone)
                           : child(at, step.key);
    if (next == kNone) {
      next = nodes.size();
      node.children.push_back(next);
      Node& made = nodes.emplace_back();
      made.key = step.key;
      made.place = made.key_place = {origin, 0, 0};
    }
    walked += step.key.empty() ? fmt::format("[{}]", step.index) : (walked.empty() ? "" : ".") + step.key;
    at = next;
  }
  Node& target = nodes[at];
  target.place = target.key_place = {origin, 0, 0};
  target.kind = value == kNone ? NodeKind::missing : nodes[value].kind;
  target.text = value == kNone ? std::string() : nodes[value].text;
  target.quoted = value != kNone && nodes[value].quoted;
  target.children = value == kNone ? std::vector<std::size_t>() : nodes[value].children;
}

}  // namespace detail

// ---- readers --------------------------------------------------------------------------------------------

using detail::Reading;

namespace {

template <class T>
Reading<T> in_unit(Reading<double> r) {
  return {T(r.value), std::move(r.echo), std::move(r.problem)};
}

std::vector<std::string> strings(std::span<const std::string_view> views) {
  return {views.begin(), views.end()};
}

Reading<std::string> read_choice(const std::string& text, std::span<const std::string_view> legal,
                                 const std::string& path) {
  if (std::ranges::find(legal, text) != legal.end()) return {text, text, {}};
  const std::string near = did_you_mean(text, strings(legal));
  return {{},
          {},
          fmt::format("unknown value '{}' of '{}'{} legal: {}", detail::shown(text), path,
                      near.empty() ? ";" : near, joined(legal))};
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
  add_once(state_->nodes[node_].asked, key);
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
  return state_->read_scalar<std::string>(node_, key, nullptr, "", read_text, as_given_text);
}
std::string Section::text(std::string_view key, std::string_view fallback) {
  const std::string instead(fallback);
  const bool given = state_->value(node_, key) != kNone;
  return state_->read_scalar<std::string>(node_, key, &instead, "", read_text,
                                          given ? as_given_text : as_text);
}

std::string Section::choice(std::string_view key, std::span<const std::string_view> legal) {
  INVARIANT(!legal.empty());
  const std::string path = state_->path_of(node_, key);
  return state_->read_scalar<std::string>(
      node_, key, nullptr, std::string(legal.front()),
      [&](const std::string& text) {
        Reading<std::string> r = read_choice(text, legal, path);
        if (!r) state_->nodes[node_].unsettled = true;
        return r;
      },
      as_text);
}
std::string Section::choice(std::string_view key, std::span<const std::string_view> legal,
                            std::string_view fallback) {
  if (state_->value(node_, key) != kNone) return choice(key, legal);
  return text(key, fallback);
}

bool Section::flag(std::string_view key, bool fallback) {
  return state_->read_scalar<bool>(
      node_, key, &fallback, fallback,
      [](const std::string& text) -> Reading<bool> {
        if (text == "true" || text == "false") return {text == "true", text, {}};
        return {{}, {}, fmt::format("'{}' is neither true nor false", detail::shown(text))};
      },
      [](bool value, const std::string&) { return Json(value); });
}

double Section::number(std::string_view key) {
  return state_->read_scalar<double>(node_, key, nullptr, 1.0, detail::read_number, as_number);
}
double Section::number(std::string_view key, double fallback) {
  return state_->read_scalar<double>(node_, key, &fallback, 1.0, detail::read_number, as_number);
}
std::int64_t Section::count(std::string_view key) {
  return state_->read_scalar<std::int64_t>(node_, key, nullptr, 1, detail::read_count, as_count);
}
std::int64_t Section::count(std::string_view key, std::int64_t fallback) {
  return state_->read_scalar<std::int64_t>(node_, key, &fallback, 1, detail::read_count, as_count);
}

std::optional<std::int64_t> Section::count_or_word(std::string_view key, std::string_view word) {
  using Value = std::optional<std::int64_t>;
  const Value missing;
  return state_->read_scalar<Value>(
      node_, key, &missing, missing,
      [&](const std::string& text) { return read_or_word<std::int64_t>(text, word, detail::read_count); },
      [&](const Value& value, const std::string&) { return value ? Json(*value) : Json(std::string(word)); });
}

std::optional<Seconds> Section::seconds_or_word(std::string_view key, std::string_view word) {
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
  return Bytes(state_->read_dimension(node_, key, detail::kBytesUnits, nullptr));
}
Bytes Section::bytes(std::string_view key, Bytes fallback) {
  return Bytes(state_->read_dimension(node_, key, detail::kBytesUnits, &fallback.value));
}
Bandwidth Section::bandwidth(std::string_view key) {
  return Bandwidth(state_->read_dimension(node_, key, detail::kBandwidthUnits, nullptr));
}
Bandwidth Section::bandwidth(std::string_view key, Bandwidth fallback) {
  return Bandwidth(state_->read_dimension(node_, key, detail::kBandwidthUnits, &fallback.value));
}
Seconds Section::seconds(std::string_view key) {
  return Seconds(state_->read_dimension(node_, key, detail::kSecondsUnits, nullptr));
}
Seconds Section::seconds(std::string_view key, Seconds fallback) {
  return Seconds(state_->read_dimension(node_, key, detail::kSecondsUnits, &fallback.value));
}
FlopRate Section::flop_rate(std::string_view key) {
  return FlopRate(state_->read_dimension(node_, key, detail::kFlopRateUnits, nullptr));
}
FlopRate Section::flop_rate(std::string_view key, FlopRate fallback) {
  return FlopRate(state_->read_dimension(node_, key, detail::kFlopRateUnits, &fallback.value));
}
Watts Section::watts(std::string_view key) {
  return Watts(state_->read_dimension(node_, key, detail::kWattsUnits, nullptr));
}
Watts Section::watts(std::string_view key, Watts fallback) {
  return Watts(state_->read_dimension(node_, key, detail::kWattsUnits, &fallback.value));
}
Dollars Section::dollars(std::string_view key) {
  return Dollars(state_->read_dimension(node_, key, detail::kDollarsUnits, nullptr));
}
Dollars Section::dollars(std::string_view key, Dollars fallback) {
  return Dollars(state_->read_dimension(node_, key, detail::kDollarsUnits, &fallback.value));
}

double Section::quantity(std::string_view key, std::span<const Unit> units) {
  INVARIANT(!units.empty());
  return state_->read_dimension(node_, key, {units, units.size(), units.front().name}, nullptr);
}
double Section::quantity(std::string_view key, std::span<const Unit> units, double fallback) {
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
  return state_->read_scalar<RatePer>(node_, key, nullptr, {EventRate(1), ""}, detail::read_event_rate,
                                      as_rate);
}
RatePer Section::event_rate(std::string_view key, RatePer fallback) {
  return state_->read_scalar<RatePer>(node_, key, &fallback, fallback, detail::read_event_rate, as_rate);
}

// ---- maps and lists -------------------------------------------------------------------------------------

Section Section::section(std::string_view key) {
  if (auto found = optional_section(key)) return *found;
  state_->miss(node_, key);
  return {state_, state_->add_map(node_, key, true)};
}

std::optional<Section> Section::optional_section(std::string_view key) {
  const std::size_t value = state_->take(node_, key);
  if (value == kNone) return std::nullopt;
  if (const NodeKind kind = state_->nodes[value].kind; kind != NodeKind::map) {
    state_->fail(node_, key,
                 fmt::format("'{}' must be a map, not {}", state_->path_of(node_, key), kind_name(kind)));
    return Section{state_, state_->add_map(node_, key, true)};
  }
  state_->open_map(value, state_->path_of(node_, key));
  state_->echo_map(node_, key, {value}, false);
  return Section{state_, value};
}

Section Section::section_or_empty(std::string_view key) {
  if (auto found = optional_section(key)) return *found;
  const auto& known = state_->nodes[node_].echo_maps;
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
                           example, kind_name(node.kind)));
  return {};
}

std::vector<Section> Section::list(std::string_view key) {
  std::vector<Section> sections;
  std::vector<std::size_t> maps;
  const std::string path = state_->path_of(node_, key);
  const std::vector<std::size_t> all = items(key, "[{...}, {...}]");
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Node& item = state_->nodes[all[i]];
    std::string name = fmt::format("{}[{}]", path, i);
    if (item.kind != NodeKind::map) {
      state_->report(item.place, fmt::format("'{}' must be a map, not {}", name, kind_name(item.kind)));
      continue;
    }
    maps.push_back(state_->open_map(all[i], std::move(name)));
    sections.push_back(Section{state_, all[i]});
  }
  if (kind(key) == NodeKind::list) state_->echo_map(node_, key, std::move(maps), true);
  return sections;
}

std::vector<std::string> Section::texts(std::string_view key) {
  std::vector<std::string> out;
  const std::string path = state_->path_of(node_, key);
  for (const std::size_t c : items(key, "[a, b]")) {
    const Node& item = state_->nodes[c];
    if (item.kind == NodeKind::scalar)
      out.push_back(item.text);
    else
      state_->report(item.place, fmt::format("an item of '{}' must be a single value, not {}", path,
                                             kind_name(item.kind)));
  }
  if (kind(key) == NodeKind::list) state_->echo(node_, key, out);
  return out;
}

std::vector<std::int64_t> Section::counts(std::string_view key) {
  std::vector<std::int64_t> out;
  const std::string path = state_->path_of(node_, key);
  for (const std::size_t c : items(key, "[1, 2]")) {
    const Node& item = state_->nodes[c];
    if (item.kind != NodeKind::scalar) {
      state_->report(item.place, fmt::format("an item of '{}' must be a single value, not {}", path,
                                             kind_name(item.kind)));
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
  const std::size_t value = state_->take(node_, key);
  if (value != kNone) state_->echo(node_, key, state_->raw(value));
}

void Section::fail(std::string_view key, const std::string& sentence) { state_->fail(node_, key, sentence); }
void Section::fail(const std::string& sentence) {
  const Node& node = state_->nodes[node_];
  if (!node.silent) state_->report(node.key_place, sentence);
}
Location Section::location(std::string_view key) const { return state_->location(state_->place(node_, key)); }
Location Section::location() const { return state_->location(state_->nodes[node_].key_place); }
bool Section::ok() const { return state_->ok(); }
const std::string& Section::path() const { return state_->nodes[node_].path; }

// ---- the document ---------------------------------------------------------------------------------------

Document::Document(std::unique_ptr<detail::DocumentState> state) : state_(std::move(state)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Document Document::parse(std::string text, std::string name) {
  auto state = std::make_unique<detail::DocumentState>(checked_source(std::move(text), std::move(name)));
  state->root = build_tree(state->source, state->nodes, 0);
  if (state->root == kNone || state->nodes[state->root].kind == NodeKind::missing)
    refuse(state->source, {}, "is empty");
  Node& root = state->nodes[state->root];
  if (root.kind != NodeKind::map)
    refuse(state->source, root.place, fmt::format("must be a map of keys, not {}", kind_name(root.kind)));
  root.key_place = {};  // what is missing in the root is missing in the whole file
  if (const auto doubled = doubled_keys(state->nodes, 0); !doubled.empty()) {
    std::vector<std::string> lines;
    for (const Problem& p : std::span(doubled).first(std::min(doubled.size(), kMaxErrorsTold)))
      lines.push_back(state->told(p));
    throw ConfigError(fmt::format("{}", fmt::join(lines, "\n")));
  }
  state->open_map(state->root, "");
  return Document(std::move(state));
}

Document Document::load(const std::string& path) {
  const auto cannot = [&](const std::string& why) -> ConfigError {
    return ConfigError(fmt::format("{}: cannot be read: {}", path, why));
  };
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw cannot("is a directory");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT) throw cannot("no such file");
    if (errno == EACCES) throw cannot("permission denied");
    throw cannot(errno != 0 ? std::generic_category().message(errno) : "cannot be opened");
  }
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) throw cannot("reading failed");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return parse(std::move(text), path);
}

void Document::set(std::string_view assignment) {
  const std::string name = "--set " + detail::shown(assignment);
  const std::size_t equals = assignment.find('=');
  const std::string_view path = assignment.substr(0, equals == std::string_view::npos ? 0 : equals);
  const std::size_t steps = detail::path_steps(path).size();
  if (steps == 0 || steps > kMaxDepth)
    throw ConfigError(fmt::format("{}: is not an assignment, write for example --set layout.tensor=4", name));
  const Source source = checked_source(std::string(assignment.substr(equals + 1)), name);
  const std::size_t first = state_->nodes.size(), origin = state_->sets.size() + 1;
  const std::size_t value = build_tree(source, state_->nodes, origin);
  if (const auto doubled = doubled_keys(state_->nodes, first); !doubled.empty())
    refuse(source, {}, doubled.front().sentence);
  state_->sets.emplace_back(assignment);
  state_->assign(origin, path, value);
}

Section Document::root() { return {state_.get(), state_->root}; }

void Document::finish() {
  for (std::size_t i = 0; i < state_->nodes.size(); ++i)
    if (state_->nodes[i].opened && !state_->nodes[i].silent) state_->report_unread(i);
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

bool Document::ok() const { return state_->ok(); }
const std::string& Document::name() const { return state_->source.name(); }
Json Document::resolved() const { return state_->resolved(state_->root); }

}  // namespace runcast
