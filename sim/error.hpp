// Two kinds of wrong: ConfigError is the user's (exit status 2, a located sentence); a failed INVARIANT is ours
// (exit status 3, please report) and stays on in Release. (Not named CHECK: doctest owns that word in tests.)
#pragma once

#include <stdexcept>
#include <string>

namespace runcast {

// What the user wrote cannot be simulated. what() is ready to print: one or more lines
// `file:line:column: sentence`, each followed by the source line and a caret where there is one.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A broken invariant of the simulator itself (exit status 3).
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] inline void invariant_failed(const char* condition, const char* file, int line) {
  throw InternalError(std::string(file) + ":" + std::to_string(line) + ": invariant broken: " + condition);
}

}  // namespace runcast

#define INVARIANT(condition) \
  ((condition) ? static_cast<void>(0) : ::runcast::invariant_failed(#condition, __FILE__, __LINE__))
