// What each key of a result's JSON holds, in one sentence: for `runcast explain run.phases.peak_gib`. Keys that are a
// term of the field have their formula in explanations.hpp and need no row here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace runcast {

// Of a path without list indices ("run.causes.events"); none when no row tells it.
std::optional<std::string> meaning_of_key(std::string_view path);

}  // namespace runcast
