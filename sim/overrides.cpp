#include "sim/overrides.hpp"

#include <fmt/format.h>

#include "sim/document_state.hpp"

namespace runcast::detail {

std::vector<PathStep> path_steps(std::string_view path) {
  std::vector<PathStep> steps;
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

void assign(DocumentState& state, std::size_t origin, const std::vector<PathStep>& steps, std::size_t value) {
  std::deque<Node>& nodes = state.nodes;
  std::size_t at = state.root;
  std::string walked;
  for (const PathStep& step : steps) {
    Node& node = nodes[at];
    const NodeKind needed = step.key.empty() ? NodeKind::list : NodeKind::map;
    if (node.kind == NodeKind::missing) node.kind = needed;
    if (node.kind != needed) {
      const std::string is = node.kind == NodeKind::scalar ? fmt::format("the value '{}'", shown(node.text))
                                                           : kind_name(node.kind);
      return state.report({origin, 0, 0}, fmt::format("'{}' is {}, not {}", walked, is, kind_name(needed)));
    }
    if (step.key.empty() && step.index > node.children.size())
      return state.report({origin, 0, 0}, fmt::format("'{}' has {} items, there is no [{}]", walked,
                                                      node.children.size(), step.index));
    std::size_t next = step.key.empty()
                           ? (step.index < node.children.size() ? node.children[step.index] : kNone)
                           : state.child(at, step.key);
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
  target.children = value == kNone ? std::vector<std::size_t>() : nodes[value].children;
}

}  // namespace runcast::detail
