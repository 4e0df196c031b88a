// The message of a refusal, for tests of every folder.
#pragma once

#include <string>

#include "sim/error.hpp"

namespace runcast {

// The message of the ConfigError that `function` throws; "" when it throws none.
template <class Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace runcast
