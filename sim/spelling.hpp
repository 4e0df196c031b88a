// Did you mean: the legal name that a misspelt one stands for.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace runcast {

// The nearest of `candidates` to `word` by edit distance, if near enough to be a typo (at most a third of its
// letters, capitals aside); empty otherwise.
std::string nearest_name(std::string_view word, std::span<const std::string> candidates);

}  // namespace runcast
