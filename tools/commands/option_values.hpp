// Values of options that stand for physical quantities, and the word after one that is its unit
// (`--budget 10000 USD` as well as `--budget '10000 USD'`). Errors begin with the option. Also the refusal of a kind
// that a command does not know.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.hpp"
#include "tools/commands/command.hpp"

namespace runcast {

// A finite number above 0, an optional SI suffix (k M B G T P), then one of `units` (spelled as they are).
double positive_quantity(const std::string& text, std::string_view where, std::span<const Unit> units);

// The option's value; none when it is absent.
std::optional<double> number_option(const Invocation&, std::string_view option);  // without a unit
std::optional<double> quantity_option(const Invocation&, std::string_view option,
                                      std::span<const Unit> units);
// Money in USD.
std::optional<Dollars> dollars_option(const Invocation&, std::string_view option);

// The value of `option`, with the positional at `index` as its unit where it has none of its own. Throws ConfigError
// when that positional is there and belongs to no option.
std::string value_with_unit(const Invocation&, std::string_view option, std::size_t index);

// The word after a command is none of its kinds: throws ConfigError with the nearest and all of them.
[[noreturn]] void refuse_kind(std::string_view command, const std::string& kind,
                              const std::vector<std::string>& kinds);

// A kind of a command that takes of the command's options `all` only those in `own` (separated by blanks): throws
// ConfigError for another that was given.
void refuse_other_options(const Invocation&, std::string_view command, std::string_view kind,
                          std::string_view own, std::initializer_list<std::string_view> all);

}  // namespace runcast
