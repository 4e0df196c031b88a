// Progress: at most five updates a second, so that a fast simulation is not slowed by its own reporting.
#include "tools/report/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "tools/report/number.hpp"

namespace runcast {

Progress::Progress(std::string noun, bool quiet)
    : noun_(std::move(noun)),
      active_(!quiet && isatty(2) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (shown_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::update(std::int64_t done, std::int64_t total) {
  if (!active_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::milliseconds(200)) return;
  last_ = now;
  shown_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  fmt::print(stderr, "\r\x1b[K{}", progress_line(done, total, seconds, noun_));
  std::fflush(stderr);
}

std::string progress_line(std::int64_t done, std::int64_t total, double seconds, const std::string& noun) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line = grouped(done) + (total > 0 ? " of " + grouped(total) : std::string()) + " " + noun;
  if (rate > 0) line += fmt::format(", {}/s", number(rate, 3));
  if (rate > 0 && total > done)
    line += fmt::format(", {} left", time_text(static_cast<double>(total - done) / rate));
  return line;
}

}  // namespace runcast
