// One line of progress on standard error with a rate and the time left; nothing unless that is a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace runcast {

class Progress {
 public:
  Progress(std::string noun, bool quiet);  // noun: what is counted, "trials"
  ~Progress();                             // clears the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(std::int64_t done, std::int64_t total);  // total 0: unknown

 private:
  std::string noun_;
  bool shown_ = false;
  bool active_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

// The line: "1,200 of 2,000 trials, 310/s, 2.581 s left".
std::string progress_line(std::int64_t done, std::int64_t total, double seconds, const std::string& noun);

}  // namespace runcast
