// Gaps by inversion, one stream a class; see the header.
#include "failures/failure_process.hpp"

#include "failures/limits.hpp"

namespace runcast {

std::uint64_t class_address(std::string_view name) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

double rate_factor(const FailureClass& failure, std::uint64_t seed, std::uint64_t trial) {
  if (failure.observed <= 0) return 1;
  RandomStream random(seed, Purpose::rate_estimate, class_address(failure.name), trial);
  return random.gamma(static_cast<double>(failure.observed), 1);
}

Seconds draw(Law law, double shape, Seconds mean, RandomStream& random) {
  switch (law) {
    case Law::weibull:
      return Seconds(random.weibull(shape, mean.value));
    case Law::lognormal:
      return Seconds(random.lognormal(mean.value, shape));
    case Law::gamma:
      return Seconds(random.gamma(shape, mean.value));
    case Law::exponential:
      break;
  }
  return Seconds(random.exponential(mean.value));
}

FailureProcess::FailureProcess(const FailureModel& model, const JobScale& scale, std::uint64_t seed,
                               std::uint64_t trial, bool uncertain) {
  streams_.reserve(model.classes.size());
  for (const FailureClass& failure : model.classes) {
    const double rate =
        system_rate(failure, scale).value * (uncertain ? rate_factor(failure, seed, trial) : 1);
    streams_.push_back({RandomStream(seed, Purpose::failure_time, class_address(failure.name), trial),
                        failure.law, failure.shape, rate > 0 ? 1 / rate : 0,
                        model.clock == HazardClock::always || failure.action == Action::planned, Duration{}});
    step(streams_.back());
  }
  find_first();
}

void FailureProcess::step(Stream& stream) {
  Duration more{kNever.ns};
  if (stream.mean > 0) {
    const Seconds gap = draw(stream.law, stream.shape, Seconds(stream.mean), stream.random);
    if (gap < kClockReach) more = to_clock(gap);
  }
  stream.next = more.ns > kNever.ns - stream.next.ns ? Duration{kNever.ns} : stream.next + more;
}

void FailureProcess::take(std::size_t failure) {
  step(streams_[failure]);
  find_first();
}

// Equal times go to the class that is listed first.
void FailureProcess::find_first() {
  wall_ = up_ = Next{};
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    Next& first = streams_[i].wall ? wall_ : up_;
    if (streams_[i].next < first.at) first = {streams_[i].next, i};
  }
}

}  // namespace runcast
