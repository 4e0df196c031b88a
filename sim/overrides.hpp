// The left side of --set: "failures.classes[0].rate" as steps through the tree, and putting a value there
// before the document is read. Maps and lists on the way are made where they are missing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace runcast::detail {

struct DocumentState;

struct PathStep {  // a key, or an index when the key is empty
  std::string key;
  std::size_t index = 0;
};

std::vector<PathStep> path_steps(std::string_view path);  // empty when it is no path

// Puts the node `value` (kNone: nothing) at the end of `steps`. A path through a value, or past the end of a
// list, is reported as a problem of the --set `origin`.
void assign(DocumentState& state, std::size_t origin, const std::vector<PathStep>& steps, std::size_t value);

}  // namespace runcast::detail
