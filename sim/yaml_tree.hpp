// A YAML text as nodes that know their place: yaml-cpp's events become plain data, and yaml-cpp is never seen
// again. Refuses doubled keys and what is past the limits of depth and number.
// Leaves out of YAML: anchors, aliases, merge keys, tags, several documents, keys that are not words.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "sim/config.hpp"
#include "sim/source_text.hpp"

namespace runcast::detail {

inline constexpr std::size_t kMaxDepth = 32;  // of maps and lists in each other
inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// One value of the document. Nodes never move and are never freed: an index names one.
struct Node {
  NodeKind kind = NodeKind::missing;
  std::string text;  // of a scalar
  std::string key;   // in its map
  Place key_place, place;
  std::vector<std::size_t> children;  // in file order
};

std::string kind_name(NodeKind kind);  // "a single value"

// Appends the nodes of the only document in the text; the index of its root, kNone when there is none.
// Throws ConfigError at the first thing that is not YAML, or not of the YAML understood here.
std::size_t build_tree(const Source& source, std::deque<Node>& nodes, std::size_t origin);

// Each key that its map has already, among the nodes from `first` on; in file order.
std::vector<Problem> doubled_keys(const std::deque<Node>& nodes, std::size_t first);

}  // namespace runcast::detail
