// The only user of yaml-cpp.
#include "sim/yaml_tree.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "sim/quantity.hpp"

namespace runcast::detail {
namespace {

constexpr std::size_t kMaxNodes = 100'000;

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
    refuse_controls(mark, value);
    if (expects_key()) return take_key(mark, tag, value);
    add(NodeKind::scalar, mark).text = value;
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

  // Written as escapes ("\x1b[2J"): they would steer the terminal that shows the text. C1 controls are C2 80 to C2 9F.
  void refuse_controls(const YAML::Mark& mark, const std::string& value) const {
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto c = static_cast<unsigned char>(value[i]);
      const bool c1 = c == 0xC2 && i + 1 < value.size() && static_cast<unsigned char>(value[i + 1]) < 0xA0;
      if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F || c1)
        refuse(source_, place(mark),
               fmt::format("control character 0x{:02x} in the text", c1 ? value[i + 1] & 0xFF : c));
    }
  }

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

}  // namespace

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
      problems.push_back({again.key_place, fmt::format("key '{}' is {}", shown(again.key), where)});
    }
  }
  std::ranges::sort(problems);
  return problems;
}

}  // namespace runcast::detail
