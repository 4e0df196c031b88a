// Reading of failure classes and their next events; see the header for the laws.
#include "failures/hazard.hpp"

#include <algorithm>

#include "failures/limits.hpp"

namespace runcast {

namespace {

template <std::size_t N>
std::size_t index_of(const std::array<std::string_view, N>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? 0 : static_cast<std::size_t>(found - names.begin());
}

void skip_prose(Section section) {
  for (const char* key : {"note", "source"})
    if (section.has(key)) section.skip(key);
}

void read_rate(Section section, FailureClass& failure) {
  failure.rate = section.event_rate("rate");
  const std::string& per = failure.rate.per;
  if (!per.empty() && per != "node" && per != "gpu" && per != "group")
    section.fail("rate",
                 "a failure rate is per node, gpu, group or whole job; write 3.0e-3 /node-day or 0.9 /day");
  else if (per == "group" && failure.domain != Domain::group)
    section.fail("rate", "a rate per group needs domain: group and its size in nodes");
  else if (failure.rate.rate > kHighestRate)
    section.fail("rate", fmt::format("a failure rate must be from 0 to {} /{}hour, one every second",
                                     kHighestRate.value * kHour, per.empty() ? "" : per + "-"));
}

void read_law(Section section, FailureClass& failure) {
  failure.law = static_cast<Law>(index_of(kLawNames, section.choice("law", kLawNames, "exponential")));
  if (failure.law == Law::exponential) return;
  failure.shape = section.number("shape");
  const bool lognormal = failure.law == Law::lognormal;
  const double low = lognormal ? 0.01 : 0.1, high = lognormal ? kLargestSpread : 10;
  if (section.ok() && !(failure.shape >= low && failure.shape <= high))
    section.fail("shape", fmt::format("the shape of a {} law is from {} to {}",
                                      kLawNames[static_cast<std::size_t>(failure.law)], low, high));
}

void read_effect(Section section, FailureClass& failure) {
  failure.action =
      static_cast<Action>(index_of(kActionNames, section.choice("action", kActionNames, "swap")));
  if (section.has("detect")) failure.detect = limited(section, "detect", section.seconds("detect"));
  switch (failure.action) {
    case Action::swap:
      failure.repair = limited(section, "repair", section.seconds("repair", failure.repair));
      break;
    case Action::corrupt:
      // Hours before, minutes with replay of suspicious steps: Gemini 2.5 report, sec. 2.3.
      if (!failure.detect) failure.detect = section.seconds("detect", Seconds(8 * kHour));
      break;
    case Action::planned:
      failure.duration = limited(section, "duration", section.seconds("duration", failure.duration));
      break;
    case Action::slow:
      // 27 jobs of 512 GPUs and more: mean 72 min (GREYHOUND, ATC'25).
      failure.duration = limited(section, "duration", section.seconds("duration", Seconds(72 * kMinute)));
      failure.slowdown = section.number("slowdown");
      if (section.ok() && !(failure.slowdown >= 1 && failure.slowdown <= kLargestSlowdown))
        section.fail("slowdown", fmt::format("a slowdown is step time over normal step time: from 1 to {}",
                                             kLargestSlowdown));
      break;
    case Action::reset:
    case Action::retry:
      break;
  }
}

FailureClass read_class(Section section) {
  FailureClass failure;
  failure.name = section.text("name");
  failure.domain =
      static_cast<Domain>(index_of(kDomainNames, section.choice("domain", kDomainNames, "node")));
  if (failure.domain == Domain::group) {
    failure.size = section.count("size");
    if (section.ok() && (failure.size < 1 || failure.size > kLargestGroup))
      section.fail("size", fmt::format("a group has from 1 to {} nodes", kLargestGroup));
  }
  read_rate(section, failure);
  read_law(section, failure);
  read_effect(section, failure);
  if (failure.domain == Domain::job && failure.action == Action::swap)
    section.fail("action",
                 "an event of the whole job names no node to swap; legal: reset retry planned corrupt slow");
  skip_prose(section);
  return failure;
}

bool unplanned(Action action) { return action != Action::planned && action != Action::slow; }

}  // namespace

FailureModel read_failures(Section section) {
  FailureModel model;
  if (section.has("name")) section.skip("name");
  skip_prose(section);
  model.clock =
      static_cast<HazardClock>(index_of(kClockNames, section.choice("clock", kClockNames, "always")));
  for (const Section& entry : section.list("classes")) model.classes.push_back(read_class(entry));
  for (std::size_t i = 0; i < model.classes.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (section.ok() && model.classes[i].name == model.classes[j].name)
        section.fail("classes", "two failure classes are named '" + model.classes[i].name + "'");
  return model;
}

EventRate system_rate(const FailureClass& failure, const JobScale& scale) {
  const std::string& per = failure.rate.per;
  double components = 1;
  if (per == "node") components = static_cast<double>(scale.nodes);
  if (per == "gpu") components = static_cast<double>(scale.gpus());
  if (per == "group") components = static_cast<double>(scale.nodes) / static_cast<double>(failure.size);
  return failure.rate.rate * components;
}

EventRate unplanned_rate(const FailureModel& model, const JobScale& scale) {
  EventRate sum;
  for (const FailureClass& failure : model.classes)
    if (unplanned(failure.action)) sum += system_rate(failure, scale);
  return sum;
}

EventRate swap_rate(const FailureModel& model, const JobScale& scale) {
  EventRate sum;
  for (const FailureClass& failure : model.classes)
    if (failure.action == Action::swap)
      sum += system_rate(failure, scale) * static_cast<double>(failure.size);
  return sum;
}

Seconds mean_repair(const FailureModel& model, const JobScale& scale) {
  const double total = swap_rate(model, scale).value;
  if (total == 0) return Seconds(0);
  double weighted = 0;
  for (const FailureClass& failure : model.classes)
    if (failure.action == Action::swap)
      weighted +=
          system_rate(failure, scale).value * static_cast<double>(failure.size) * failure.repair.value;
  return Seconds(weighted / total);
}

FailureProcess::FailureProcess(const FailureModel& model, const JobScale& scale, std::uint64_t seed,
                               std::uint64_t trial) {
  streams_.reserve(model.classes.size());
  for (std::size_t i = 0; i < model.classes.size(); ++i) {
    const FailureClass& failure = model.classes[i];
    const double rate = system_rate(failure, scale).value;
    streams_.push_back({RandomStream(seed, Purpose::failure_time, i, trial), failure.law, failure.shape,
                        rate > 0 ? 1 / rate : 0,
                        model.clock == HazardClock::always || failure.action == Action::planned, Duration{}});
    step(streams_.back());
  }
  find_first();
}

Duration FailureProcess::gap(Stream& stream) {
  if (stream.mean == 0) return {kNever.ns};
  double seconds = 0;
  switch (stream.law) {
    case Law::exponential:
      seconds = stream.random.exponential(stream.mean);
      break;
    case Law::weibull:
      seconds = stream.random.weibull(stream.shape, stream.mean);
      break;
    case Law::lognormal:
      seconds = stream.random.lognormal(stream.mean, stream.shape);
      break;
    case Law::gamma:
      seconds = stream.random.gamma(stream.shape, stream.mean);
      break;
  }
  constexpr double kClockReach = 9e9;  // s; later than the clock's end is never
  return seconds < kClockReach ? to_clock(Seconds(seconds)) : Duration{kNever.ns};
}

void FailureProcess::step(Stream& stream) {
  const Duration more = gap(stream);
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
