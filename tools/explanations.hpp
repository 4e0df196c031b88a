// What each number of a result means: one table of terms, each with its formula, its symbols and its source.
#pragma once

#include <span>
#include <string_view>

namespace runcast {

struct Explanation {
  std::string_view term;     // what `runcast explain` takes
  std::string_view group;    // a heading of the list
  std::string_view path;     // where results have it ("step.mfu"); "" when no single number is it
  std::string_view formula;  // "" when there is none
  std::string_view meaning;  // sentences
};

std::span<const Explanation> explanations();

}  // namespace runcast
